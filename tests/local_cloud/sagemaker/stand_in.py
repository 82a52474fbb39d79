"""A SageMaker service with an S3 in memory and an image of two small scripts, reached over HTTP with plain boto3."""

import io
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import boto3
import uvicorn
from botocore.config import Config
from botocore.exceptions import ClientError

from local_cloud.sagemaker.http import create_app
from local_cloud.sagemaker.invocation_metrics import Datum
from local_cloud.sagemaker.service import SageMakerService, ServiceConfig

ROLE = "arn:aws:iam::123456789012:role/jobs"
IMAGE = "image:test"
T = TypeVar("T")

TRAIN = """
import json, os, pathlib, signal, subprocess, sys, time

base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
hyperparameters = json.loads((base / "input/config/hyperparameters.json").read_text())
exec(json.loads(hyperparameters["script"]) if hyperparameters["script"].startswith('"') else hyperparameters["script"])
"""

SERVE = """
import http.server, os, pathlib, sys, time

model = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model")
answer = (model / "answer.txt").read_text()
print("serving", answer)
if answer == "broken":
    sys.exit("cannot load the model")
if answer == "environment":
    answer = ",".join(sorted(name for name in os.environ if name.startswith("AWS_")))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if answer == "mute":
            time.sleep(60)
        self.reply(200, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if answer == "failing":
            self.reply(500, b"cannot predict")
            return
        if body == b"die":
            os._exit(3)
        if body == b"bad":
            self.reply(400, b"no photo")
        else:
            self.reply(200, answer.encode() + b" " + body + b" " + self.headers["Content-Type"].encode())

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


class MemoryS3:
    """The part of S3 that the service uses."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.encryption: dict[str, dict[str, str]] = {}
        self.denied = ""
        self.open = threading.Event()  # cleared, no object is read until it is set again
        self.open.set()

    def list_objects_v2(self, *, Bucket: str, Prefix: str, ContinuationToken: str = "") -> Any:  # noqa: N803
        keys = sorted(key.partition("/")[2] for key in list(self.objects) if key.startswith(f"{Bucket}/{Prefix}"))
        later = [key for key in keys if key > ContinuationToken]
        page = later[:2]
        more = {"IsTruncated": True, "NextContinuationToken": page[-1]} if len(later) > 2 else {"IsTruncated": False}
        return {"Contents": [{"Key": key} for key in page], **more}

    def get_object(self, *, Bucket: str, Key: str) -> Any:  # noqa: N803
        self.open.wait(30)
        if f"{Bucket}/{Key}" not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "The key does not exist."}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[f"{Bucket}/{Key}"])}

    def put_object(self, *, Bucket: str, Key: str, Body: Any, **encryption: str) -> Any:  # noqa: N803
        if self.denied and self.denied in Key:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, "PutObject")
        self.encryption[f"{Bucket}/{Key}"] = encryption
        self.objects[f"{Bucket}/{Key}"] = Body if isinstance(Body, bytes) else Body.read()
        return {}


@dataclass
class Lines:
    """One log stream, and those that have not closed it yet."""

    lines: list[str] = field(default_factory=list)
    writers: "set[Writer]" = field(default_factory=set)


class Writer:
    """The writing end of a log stream for one container."""

    def __init__(self, log: Lines) -> None:
        self._log = log
        log.writers.add(self)

    def write(self, line: str) -> None:
        if self in self._log.writers:
            self._log.lines.append(line)

    def close(self) -> None:
        self._log.writers.discard(self)


@dataclass
class CloudWatch:
    """Metrics as they were told, and an alarm that a test sets, or that starts with the first failed request."""

    told: list[tuple[str, Datum]] = field(default_factory=list)
    in_alarm: list[str] = field(default_factory=list)
    on_errors: str = ""

    def put(self, namespace: str, data: Sequence[Datum]) -> None:
        self.told += [(namespace, datum) for datum in data]
        if self.on_errors and self.sum_of("Invocation5XXErrors"):
            self.in_alarm = [self.on_errors]

    def firing(self, _role: str, names: Sequence[str]) -> list[str]:
        return [name for name in names if name in self.in_alarm]

    def sum_of(self, metric: str) -> float:
        """Return the sum of all values of a metric."""
        return sum(
            value * count for _, datum in self.told if datum.name == metric for value, count in datum.values.items()
        )


@dataclass
class Cloud:
    """What a test talks to."""

    config: ServiceConfig
    service: SageMakerService
    s3: MemoryS3
    logs: dict[tuple[str, str], Lines]
    watch: "CloudWatch"
    sagemaker: Any = None
    runtime: Any = None

    def train(self, name: str, script: str, **members: Any) -> None:
        """Create a training job whose container runs ``script``."""
        self.sagemaker.create_training_job(**job_request(name, script, **members))

    def job(self, name: str, *, until: str | None = None, seconds: float = 20) -> dict[str, Any]:
        """Wait for a job's end (or a secondary status) and return its description."""

        def look() -> dict[str, Any] | None:
            job: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
            ended = job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped")
            reached = ended if until is None else job["SecondaryStatus"] == until
            assert reached or not ended, f"{name} ended as {job['SecondaryStatus']}: {job.get('FailureReason')}"
            return job if reached else None

        return wait_for(look, seconds)

    def endpoint(self, name: str, status: str = "InService") -> dict[str, Any]:
        """Wait for an endpoint's status and return its description."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
            return found if found["EndpointStatus"] == status else None

        return wait_for(look)

    def log_of(self, name: str) -> list[str]:
        """Return all lines of the streams whose group or name holds ``name``."""
        logs = list(self.logs.items())  # others are added while this is read
        return [line for (group, stream), log in logs if name in group + stream for line in log.lines]

    def open_logs(self) -> list[str]:
        """Return the log streams that a container may still write into."""
        return [f"{group}/{stream}" for (group, stream), log in list(self.logs.items()) if log.writers]


def wait_for(look: Callable[[], T | None], seconds: float = 20) -> T:
    """Return what ``look`` finds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.03)
    raise AssertionError("it did not happen in time")


def job_request(name: str, script: str, **members: Any) -> dict[str, Any]:
    """Return a complete CreateTrainingJob request."""
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"}],
        },
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "HyperParameters": {"script": script},
        **members,
    }


def channel(name: str, uri: str) -> dict[str, Any]:
    """Return one entry of InputDataConfig."""
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}


def write_image(folder: Path) -> Path:
    """Write the two executables of an image."""
    folder.mkdir()
    for name, code in (("train", TRAIN), ("serve", SERVE)):
        (folder / name).write_text(f"#!{sys.executable}\n{code}")
        (folder / name).chmod(0o755)
    return folder


def new_cloud(folder: Path, s3: MemoryS3, **settings: Any) -> Cloud:
    """Return a cloud on ``folder``, not started."""
    logs: dict[tuple[str, str], Lines] = {}
    watch = CloudWatch()
    defaults: dict[str, Any] = {
        "state_dir": folder / "state",
        "region": "us-east-1",
        "account": "123456789012",
        "images": {IMAGE: folder / "bin"},
        "endpoint_url": "https://localhost:4566",
        "ca_bundle": None,
        "credentials_for": lambda role, _: {"AWS_ACCESS_KEY_ID": role[-4:], "AWS_SECRET_ACCESS_KEY": "secret"},
        "s3_for": lambda _: s3,
        "logs": lambda _role, group, stream: Writer(logs.setdefault((group, stream), Lines())),
        "put_metrics": watch.put,
        "firing": watch.firing,
        "poll_seconds": 0.1,
        "metrics_seconds": 0.1,
        "capture_seconds": 0.1,
        "stop_grace_seconds": 5,
        "shutdown_grace_seconds": 2,
        "health_check_seconds": 10,
        "cores": 2,
    }
    config = ServiceConfig(**{**defaults, **settings})
    return Cloud(config, SageMakerService(config), s3, logs, watch)


@cache
def session() -> boto3.session.Session:
    """Return one session for all tests: it reads botocore's large service models once."""
    return boto3.session.Session()


class Server(uvicorn.Server):
    """The service over HTTP, in a thread."""

    def __init__(self, cloud: Cloud) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        super().__init__(uvicorn.Config(create_app(cloud.service), log_level="warning", ws="none"))
        self.thread = threading.Thread(target=self.run, args=([self.socket],))
        options: dict[str, Any] = {
            "endpoint_url": f"http://127.0.0.1:{self.socket.getsockname()[1]}",
            "region_name": "us-east-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "config": Config(retries={"max_attempts": 1}),
        }
        cloud.sagemaker = session().client("sagemaker", **options)
        cloud.runtime = session().client("sagemaker-runtime", **options)

    def __enter__(self) -> "Server":
        self.thread.start()
        wait_for(lambda: self.started)
        return self

    def __exit__(self, *_: object) -> None:
        self.should_exit = True
        self.thread.join()
        self.socket.close()

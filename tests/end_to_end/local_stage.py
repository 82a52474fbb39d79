"""A stage of its own in a running local cloud, reached with boto3 as any AWS client would."""

import contextlib
import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import httpx

from contract.front_door import Upload
from contract.names import ApiPath, Output, Prefix, Stack, stack_name
from tests.end_to_end.checkout import Checkout

POLL_SECONDS = 0.5


@dataclass
class LocalStage:
    """A deployed stage; ``variables`` are what `pedigree env` prints."""

    checkout: Checkout
    stage: str
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        return f"pedigree-{self.stage}"

    def client(self, service: str) -> Any:
        session: Any = boto3.Session(
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            region_name=self.variables["AWS_REGION"],
        )
        return session.client(
            service, endpoint_url=self.variables["AWS_ENDPOINT_URL"], verify=self.variables["AWS_CA_BUNDLE"]
        )

    def pedigree(self, *arguments: str | Path) -> str:
        done = self.checkout.pedigree("--stage", self.stage, *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start(self, name: str, **given: Any) -> str:
        """Start an execution and return its ARN."""
        machine = self.variables["PEDIGREE_STATE_MACHINE"]
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=machine, name=name, input=json.dumps(given)
        )
        arn: str = started["executionArn"]
        return arn

    def wait(self, arn: str, seconds: float = 400) -> dict[str, Any]:
        """Return the execution's description once it has ended."""
        deadline = time.monotonic() + seconds
        states = self.client("stepfunctions")
        while True:
            described: dict[str, Any] = states.describe_execution(executionArn=arn)
            if described["status"] != "RUNNING":
                return described
            assert time.monotonic() < deadline, f"{arn} still runs after {seconds} s"
            time.sleep(POLL_SECONDS)

    def entered(self, arn: str) -> dict[str, datetime]:
        """Return when an execution first entered each of its states."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
        found: dict[str, datetime] = {}
        for event in (event for page in pages for event in page["events"]):
            if "stateEnteredEventDetails" in event:
                found.setdefault(event["stateEnteredEventDetails"]["name"], event["timestamp"])
        return found

    @property
    def bucket(self) -> str:
        """The name of the stage's bucket."""
        stacks = self.client("cloudformation").describe_stacks(StackName=stack_name(self.stage, Stack.DATA))["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}
        return str(outputs[Output.BUCKET])

    def upload(self, photos: Path) -> str:
        """Put a folder of photos into the bucket and return its address."""
        bucket, s3 = self.bucket, self.client("s3")
        for photo in photos.rglob("*.jpg"):
            s3.upload_file(str(photo), bucket, f"{Prefix.DATASETS}/dogs/{photo.relative_to(photos).as_posix()}")
        return f"s3://{bucket}/{Prefix.DATASETS}/dogs/"

    def post(self, photo: bytes) -> httpx.Response:
        headers = {"content-type": "image/jpeg", "x-api-key": self.variables["PEDIGREE_API_KEY"]}
        url = f"{self.variables['PEDIGREE_API_URL']}{ApiPath.PREDICT}"
        return httpx.post(url, content=photo, headers=headers, timeout=60, trust_env=False)

    def api(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Return what the API answers to whoever has the key."""
        headers = {"x-api-key": self.variables["PEDIGREE_API_KEY"], **request.pop("headers", {})}
        url = f"{self.variables['PEDIGREE_API_URL']}/{path.lstrip('/')}"
        return httpx.request(method, url, headers=headers, timeout=60, trust_env=False, **request)

    def send_upload(self, photo: bytes) -> tuple[str, httpx.Response]:
        """Send a photo past the API; return its name there, and what S3 answered."""
        announced = {"bytes": len(photo), "content_type": "image/jpeg"}
        place = Upload.read(self.api("POST", ApiPath.UPLOADS, json=announced).json())
        trust = ssl.create_default_context(cafile=self.variables["AWS_CA_BUNDLE"])
        sent = httpx.put(place.url, content=photo, headers=place.headers, verify=trust, timeout=60, trust_env=False)
        return place.upload, sent

    @contextlib.contextmanager
    def asked_all_the_time(self, photo: bytes, pause: float) -> Iterator[list[httpx.Response]]:
        """Yield a list that fills with the API's answers, one request after the other."""
        answers: list[httpx.Response] = []
        over = threading.Event()

        def ask() -> None:
            while not over.wait(pause):
                answers.append(self.post(photo))

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield answers
        finally:
            over.set()
            asking.join()


def add_stage(checkout: Checkout, stage: str, **differences: Any) -> None:
    """Write a stage into the checkout's cdk.json: the laptop's, with differences."""
    path = checkout.root / "cdk.json"
    content = json.loads(path.read_text("utf-8"))
    stages = content["context"]["stages"]
    stages[stage] = _merged(stages["laptop"], differences)
    path.write_text(json.dumps(content, indent=2), "utf-8")


def _merged(base: dict[str, Any], differences: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in differences.items():
        merged[key] = _merged(base.get(key, {}), value) if isinstance(value, dict) else value
    return merged


@contextlib.contextmanager
def running_stage(checkout: Checkout, stage: str) -> Iterator[LocalStage]:
    """Run a local cloud with a deployed stage; ends everything that was started in it."""
    state = checkout.root / "build" / "local-cloud"
    state.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "local_cloud", "--state", str(state), "--port", str(checkout.port)]
    command += ["--api-port", str(checkout.api_port), "--image", f"pedigree:laptop={Path(sys.executable).parent}"]
    with (
        (state / "console.log").open("wb") as log,
        subprocess.Popen(
            [*command, "--exit-with-stdin"],
            cwd=checkout.root,
            env=checkout.environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            _await_connection(process, state)
            found = LocalStage(checkout, stage)
            found.pedigree("deploy")
            found.variables = checkout.variables("--stage", stage)
            yield found
        finally:
            process.terminate()


def _await_connection(process: subprocess.Popen[bytes], state: Path) -> None:
    deadline = time.monotonic() + 60
    while not (state / "connection.json").exists():
        assert process.poll() is None, (state / "console.log").read_text()
        assert time.monotonic() < deadline, "the local cloud does not start"
        time.sleep(0.1)

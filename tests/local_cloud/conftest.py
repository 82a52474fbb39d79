"""A running local cloud with an image that does what the test tells it to."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ROOT = Path(__file__).parents[2]
IMAGE = "fake:1"
# Says what it was told, sleeps as long as it was told, and leaves a model.
_TRAIN = """#!{python}
import json, os, pathlib, sys, time
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
print("score=0.75;", flush=True)
time.sleep(float(os.environ.get("SECONDS", "0")))
if os.environ.get("FAIL"):
    (base / "output").mkdir(exist_ok=True)
    (base / "output" / "failure").write_text(os.environ["FAIL"])
    sys.exit(1)
(base / "model" / "model.txt").write_text("trained")
"""
_SERVE = """#!{python}
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body=b""):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer()
    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"]))[::-1])
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


@dataclass
class RunningCloud:
    """A local cloud in a process of its own."""

    state: Path
    image: Path
    ports: list[int] = field(default_factory=lambda: free_ports(2))
    process: "subprocess.Popen[bytes] | None" = None
    connection: dict[str, Any] = field(default_factory=dict)
    clients: dict[str, Any] = field(default_factory=dict)

    def command(self, *options: str) -> list[str]:
        port, api_port = map(str, self.ports)
        where = ["--state", str(self.state), "--port", port, "--api-port", api_port, "--image", f"{IMAGE}={self.image}"]
        return [sys.executable, "-m", "local_cloud", *where, *options]

    def launch(self, *options: str) -> "subprocess.Popen[bytes]":
        """Start the process and return at once."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "AWS_ACCESS_KEY_ID": "must-not-matter"}
        self.process = subprocess.Popen(
            self.command(*options),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return self.process

    def start(self, *options: str) -> "RunningCloud":
        """Start it and wait until it says how to reach it."""
        process = self.launch(*options)
        deadline = time.monotonic() + 40
        while not (self.state / "connection.json").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                output = process.communicate()[0].decode()
                pytest.fail(f"the local cloud did not start: {output}")
            time.sleep(0.05)
        self.connection = json.loads((self.state / "connection.json").read_text())
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Return the exit status once it ends by itself."""
        assert self.process is not None
        try:
            return self.process.wait(25)
        finally:
            self.process.kill()
            self.process.communicate()

    def client(self, service: str, **identity: str) -> Any:
        """Return a boto3 client, the developer's unless another identity is given."""
        if not identity and service in self.clients:
            return self.clients[service]
        known = {
            "aws_access_key_id": self.connection["access_key_id"],
            "aws_secret_access_key": self.connection["secret_access_key"],
        }
        session = boto3.Session(region_name="us-east-1", **{**known, **identity})
        client = session.client(  # type: ignore[call-overload]
            service, endpoint_url=self.connection["endpoint"], verify=self.connection["ca_bundle"]
        )
        if not identity:
            self.clients[service] = client
        return client

    def fault(self, operation: str, *, key: tuple[str, str] | None = None, **request: Any) -> None:
        """Have the local SageMaker do what AWS may do at any time (``LocalRefuseCapacity`` with the number of Jobs)."""
        credentials = Credentials(*(key or (self.connection["access_key_id"], self.connection["secret_access_key"])))
        headers = {"X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1"}
        url, body = self.connection["endpoint"], json.dumps(request).encode()
        signed = AWSRequest("POST", url, headers, body)
        SigV4Auth(credentials, "sagemaker", "us-east-1").add_auth(signed)
        context = ssl.create_default_context(cafile=self.connection["ca_bundle"])
        sent = urllib.request.Request(url, body, dict(signed.headers.items()))
        try:
            urllib.request.urlopen(sent, context=context).close()
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(error.read().decode()) from None

    def role(self, name: str, principal: str, *statements: dict[str, Any]) -> str:
        """Create a role that a service may assume, and return its ARN."""
        iam = self.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
        created = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        arn: str = created["Role"]["Arn"]
        return arn


def allow(actions: str | list[str], resources: str | list[str] = "*") -> dict[str, Any]:
    """Return a policy statement."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


@pytest.fixture(scope="session")
def fake_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train and serve."""
    folder = tmp_path_factory.mktemp("image")
    for name, text in (("train", _TRAIN), ("serve", _SERVE)):
        (folder / name).write_text(text.replace("{python}", sys.executable))
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, fake_image: Path) -> Iterator[RunningCloud]:
    """One local cloud for all tests that only talk to it."""
    running = RunningCloud(tmp_path_factory.mktemp("cloud") / "state", fake_image).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def own_cloud(tmp_path: Path, fake_image: Path) -> Iterator[RunningCloud]:
    """A local cloud that the test starts and ends itself."""
    running = RunningCloud(tmp_path / "state", fake_image)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.process.kill()
        running.process.communicate()

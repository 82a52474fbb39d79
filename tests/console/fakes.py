from collections.abc import Mapping
from typing import Any

import boto3
from botocore.stub import Stubber


class FakeCloud:
    """A cloud whose answers are scripted, per service and in order."""

    name = "laptop"
    stage = "laptop"
    poll_seconds = 0.0

    # Shared: reading a service's model takes longer than any test.
    _session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")

    def __init__(self) -> None:
        self.stubs: dict[str, Stubber] = {}
        self._clients: dict[str, Any] = {}
        self.is_started = False

    def start(self) -> None:
        self.is_started = True

    def stop(self) -> None:
        self.is_started = False

    def check_alive(self) -> None:
        pass

    def account(self) -> str:
        return "000000000000"

    def region(self) -> str:
        return "us-east-1"

    def adapt(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return dict(settings)

    def client(self, service: str) -> Any:
        self.stub(service)
        return self._clients[service]

    def stub(self, service: str) -> Stubber:
        if service not in self.stubs:
            make: Any = self._session.client
            self._clients[service] = make(service)
            self.stubs[service] = Stubber(self._clients[service])
            self.stubs[service].activate()
        return self.stubs[service]

    def environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin"}

    def predict_url(self, deployed_url: str) -> str:
        return deployed_url

    def ca_bundle(self) -> str | None:
        return None

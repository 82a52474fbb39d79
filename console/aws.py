"""The AWS account of the person's credentials."""

import os
from collections.abc import Mapping
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from console.clients import Clients
from console.errors import ConsoleError

DEFAULT_STAGE: Final = "dev"
_HOW: Final = (
    "Give boto3 credentials and a region, e.g.: aws sso login, export AWS_PROFILE=..., export AWS_REGION=eu-central-1"
)


class Aws:
    """Amazon's own cloud."""

    name = "aws"
    # GetExecutionHistory and the SageMaker list calls are throttled from a few a second.
    poll_seconds = 10.0

    def __init__(self, stage: str = DEFAULT_STAGE) -> None:
        self.stage = stage
        self._clients: Clients | None = None
        self._region = ""
        self._account = ""

    def start(self) -> None:
        """Check that the credentials are good for something."""
        try:
            # The CDK CLI and Lambda say AWS_REGION; boto3 by itself reads AWS_DEFAULT_REGION only.
            session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
            if not session.region_name:
                raise ConsoleError("No AWS region is chosen.", _HOW)
            self._region = session.region_name
            self._clients = Clients(session, config=Config(retries={"max_attempts": 8, "mode": "adaptive"}))
            self._account = self.client("sts").get_caller_identity()["Account"]
        except (BotoCoreError, ClientError) as error:
            raise ConsoleError(f"AWS does not take the credentials: {error}", _HOW) from error

    def stop(self) -> None:
        """Leave it running."""

    def check_alive(self) -> None:
        """Trust that AWS is."""

    def account(self) -> str:
        """Return the account's number."""
        return self._account

    def region(self) -> str:
        """Return the region."""
        return self._region

    def adapt(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return a stage's settings as they are."""
        return dict(settings)

    def client(self, service: str) -> Any:
        """Return a boto3 client that retries throttled calls."""
        assert self._clients is not None, "start() comes first"
        return self._clients(service)

    def environment(self) -> dict[str, str]:
        """Return the environment as it is, with the region made explicit."""
        return dict(os.environ) | {"AWS_REGION": self.region(), "AWS_DEFAULT_REGION": self.region()}

    def predict_url(self, deployed_url: str) -> str:
        """Return the deployed address."""
        return deployed_url

    def ca_bundle(self) -> str | None:
        """Return the usual ones."""
        return None

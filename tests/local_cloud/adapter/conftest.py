"""Sessions of roles that a test gives its permissions."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from local_cloud.trail import Evaluation, read_trail
from tests.local_cloud.conftest import RunningCloud


class Actor:
    """Calls under a role of its own, and what the trail says of it."""

    def __init__(self, cloud: RunningCloud, role: str) -> None:
        """Let the account's own users assume a role, and do so."""
        self.cloud = cloud
        self.role = role
        name = role.rpartition("/")[2]
        trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        cloud.client("iam").update_assume_role_policy(RoleName=name, PolicyDocument=document)
        keys = cloud.client("sts").assume_role(RoleArn=self.role, RoleSessionName="test")["Credentials"]
        self._identity = {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        }

    def client(self, service: str) -> Any:
        return self.cloud.client(service, **self._identity)

    def trail(self) -> list[Evaluation]:
        return [each for each in read_trail(self.cloud.state / "permissions.jsonl") if each.role == self.role]

    def asked(self) -> list[tuple[str, str, bool]]:
        return [(each.action, each.resource, each.allowed) for each in self.trail()]


@pytest.fixture
def act(cloud: RunningCloud, request: pytest.FixtureRequest) -> Callable[..., Actor]:
    def make(*statements: dict[str, Any]) -> Actor:
        name = "".join(character for character in request.node.name if character.isalnum())[-50:]
        return Actor(cloud, cloud.role(name, "lambda.amazonaws.com", *statements))

    return make

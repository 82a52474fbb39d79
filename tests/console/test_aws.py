"""The person's own account: which region, and what is said without credentials."""

import boto3
import pytest

from console.aws import Aws
from console.errors import ConsoleError


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_without_a_region_nothing_is_tried() -> None:
    with pytest.raises(ConsoleError, match="No AWS region is chosen"):
        Aws().start()


def test_the_variable_that_the_hint_names_chooses_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    cloud = Aws()
    with pytest.raises(ConsoleError, match="AWS does not take the credentials") as caught:
        cloud.start()
    assert cloud.region() == "eu-central-1"
    assert "export AWS_REGION=" in caught.value.hint


def test_a_region_of_the_profile_is_used_where_no_variable_says_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert boto3.Session(region_name=None).region_name == "us-west-2"
    cloud = Aws()
    with pytest.raises(ConsoleError):
        cloud.start()
    assert cloud.region() == "us-west-2"

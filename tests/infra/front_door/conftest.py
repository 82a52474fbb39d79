from collections.abc import Iterator
from contextlib import ExitStack

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from infra.front_door import clients, production, uploads
from tests.infra.front_door.aws import Aws


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """Return the clients of the function, each answering what a test has prepared and nothing else."""
    session = boto3.Session("AKIDEXAMPLE", "x", region_name="eu-west-1")
    s3 = session.client("s3", config=Config(signature_version="s3v4"))
    sagemaker = session.client("sagemaker")
    monkeypatch.setattr(clients, "s3", lambda: s3)
    monkeypatch.setattr(uploads, "s3", lambda: s3)
    monkeypatch.setattr(production, "sagemaker", lambda: sagemaker)
    monkeypatch.setenv("ENDPOINT_NAME", "pedigree-dev")
    monkeypatch.setenv("BUCKET", "bucket")
    with ExitStack() as stack:
        yield Aws(stack.enter_context(Stubber(s3)), stack.enter_context(Stubber(sagemaker)))
    for kept in (production.RECORD, production.HEALTH, production.EXAMPLES):
        kept.forget()

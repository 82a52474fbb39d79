from typing import Any

import pytest
from botocore.stub import ANY

from console.endpoint import EndpointState, await_endpoint, delete_endpoints, describe_endpoint
from console.errors import ConsoleError
from tests.console.events import START
from tests.console.fakes import FakeCloud

ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/pedigree-laptop"


def _described(status: str, **more: Any) -> dict[str, Any]:
    times = {"CreationTime": START, "LastModifiedTime": START}
    return {"EndpointName": "pedigree-laptop", "EndpointArn": ARN, "EndpointStatus": status, **times, **more}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.endpoint.time.sleep", lambda _: None)


def test_an_endpoint_is_waited_for_until_it_serves(cloud: FakeCloud) -> None:
    for status in ("Creating", "Creating", "InService"):
        cloud.stub("sagemaker").add_response("describe_endpoint", _described(status))
    state = await_endpoint(cloud, "pedigree-laptop", 60)
    assert state == EndpointState("pedigree-laptop", "InService", "")
    assert state.is_serving


def test_a_failed_endpoint_is_not_waited_for(cloud: FakeCloud) -> None:
    cloud.stub("sagemaker").add_response("describe_endpoint", _described("Failed", FailureReason="no ping"))
    assert await_endpoint(cloud, "pedigree-laptop", 60) == EndpointState("pedigree-laptop", "Failed", "no ping")


def test_waiting_has_an_end(cloud: FakeCloud) -> None:
    cloud.stub("sagemaker").add_response("describe_endpoint", _described("Creating"))
    with pytest.raises(ConsoleError, match="still Creating"):
        await_endpoint(cloud, "pedigree-laptop", -1)


def test_an_endpoint_that_was_never_made_is_none(cloud: FakeCloud) -> None:
    cloud.stub("sagemaker").add_client_error("describe_endpoint", "ValidationException", "Could not find endpoint")
    assert describe_endpoint(cloud, "pedigree-laptop") is None


def test_only_what_belongs_to_the_stage_is_deleted(cloud: FakeCloud) -> None:
    sagemaker = cloud.stub("sagemaker")
    times = {"CreationTime": START, "LastModifiedTime": START}
    endpoint_arn = {"EndpointArn": ARN, "EndpointStatus": "InService", **times}
    sagemaker.add_response(
        "list_endpoints",
        {
            "Endpoints": [
                {"EndpointName": "pedigree-dev", **endpoint_arn},
                {"EndpointName": "pedigree-dev2", **endpoint_arn},
                {"EndpointName": "my-pedigree-dev", **endpoint_arn},
            ]
        },
        {"NameContains": "pedigree-dev"},
    )
    sagemaker.add_response("delete_endpoint", {}, {"EndpointName": "pedigree-dev"})
    config = {"EndpointConfigName": "pedigree-dev-1", "EndpointConfigArn": ARN, "CreationTime": START}
    sagemaker.add_response("list_endpoint_configs", {"EndpointConfigs": [config]}, {"NameContains": ANY})
    sagemaker.add_response("delete_endpoint_config", {}, {"EndpointConfigName": "pedigree-dev-1"})
    sagemaker.add_response("list_models", {"Models": []}, {"NameContains": ANY})
    assert delete_endpoints(cloud, "pedigree-dev") == ["Endpoint pedigree-dev", "EndpointConfig pedigree-dev-1"]

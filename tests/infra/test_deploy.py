"""The endpoint: created, updated, rolled back, late."""

import copy
import json
from dataclasses import asdict
from typing import Any

from contract.serving import DEFAULT_SERVING
from infra.settings import load_settings
from serving.limits import Limits
from tests.infra.fake_aws import NO_ENDPOINT, FakeAws
from tests.infra.machine import TaskError
from tests.infra.running import run


def serving(config: str, status: str = "InService") -> dict[str, str]:
    return {"EndpointStatus": status, "EndpointConfigName": config}


class UpdatingAws(FakeAws):
    """An endpoint that exists, and what DescribeEndpoint says after the update; "{ours}" is the new config."""

    def __init__(self, *after: dict[str, str], before: tuple[dict[str, str] | None, ...] = ()) -> None:
        super().__init__()
        self.endpoint = list(before) or [serving("old")]
        self.after = after

    def _change_endpoint(self, request: Any) -> Any:
        ours = request["EndpointConfigName"]
        self.endpoint = [json.loads(json.dumps(each).replace("{ours}", ours)) for each in copy.deepcopy(self.after)]
        return {"EndpointArn": "arn"}


def test_an_absent_endpoint_is_created(aws: FakeAws) -> None:
    run(aws)
    assert "createEndpoint" in aws.calls
    assert "updateEndpoint" not in aws.calls


def test_an_endpoint_in_service_is_updated_blue_green() -> None:
    aws = UpdatingAws(serving("old", "Updating"), serving("{ours}"))
    assert run(aws).status == "SUCCEEDED"
    assert "BlueGreenUpdatePolicy" in aws.requests["updateEndpoint"][0]["DeploymentConfig"]
    assert {request["EndpointName"] for request in aws.requests["updateEndpoint"]} == {"pedigree-dev"}


def test_a_silent_rollback_is_an_error() -> None:
    aws = UpdatingAws(serving("old", "RollingBack"), serving("old"))
    assert run(aws).cause == "Deploy: the endpoint pedigree-dev went back to old: no reason was given"


def test_a_failed_endpoint_fails_with_its_reason() -> None:
    aws = UpdatingAws(serving("{ours}", "Failed") | {"FailureReason": "did not pass the ping health check"})
    assert run(aws).cause == "Deploy: the endpoint pedigree-dev ended Failed: did not pass the ping health check"


def test_an_endpoint_that_never_gets_ready_is_given_up_at_the_deadline() -> None:
    aws = UpdatingAws(serving("old", "Updating"))
    execution = run(aws)
    assert execution.cause == "Deploy: the endpoint pedigree-dev was still Updating when the deadline passed"
    # SageMaker gives up after 600 seconds, and may need as many to give the traffic back.
    assert 1200 < execution.waited <= 1260


def test_an_endpoint_whose_creation_failed_is_replaced() -> None:
    aws = UpdatingAws(serving("{ours}"), before=(serving("old", "Failed"), serving("old", "Deleting"), None))
    assert run(aws).status == "SUCCEEDED"
    assert aws.calls.index("deleteEndpoint") < aws.calls.index("createEndpoint")


def test_an_earlier_change_is_waited_for() -> None:
    aws = UpdatingAws(serving("{ours}"), before=(serving("old", "Updating"), serving("other")))
    assert run(aws).status == "SUCCEEDED"
    assert "updateEndpoint" in aws.calls


def test_an_earlier_change_that_does_not_end_is_given_up_at_the_deadline() -> None:
    aws = UpdatingAws(before=(serving("old", "Updating"),))
    assert run(aws).cause == "Deploy: the endpoint pedigree-dev was still Updating when the deadline passed"


def test_another_error_of_describe_endpoint_is_no_absence(aws: FakeAws) -> None:
    aws.failures["describeEndpoint"] = TaskError(NO_ENDPOINT.error, "User is not authorized")
    assert run(aws).cause == "Deploy: SageMaker.SageMakerException: User is not authorized"
    assert "createEndpoint" not in aws.calls


def test_production_is_recorded_only_after_the_smoke_test(aws: FakeAws) -> None:
    aws.failures["invoke"] = TaskError("SmokeTestError", {"errorMessage": "answered 500"})
    run(aws)
    assert "production/model.json" not in aws.objects
    del aws.failures["invoke"]
    output = run(aws).output
    record = aws.objects["production/model.json"]
    assert record["training_job_name"] == output["training_job_name"]
    assert record["model_package_arn"] == output["model_package_arn"]
    assert record["prepared_uri"] == output["prepared_uri"]
    assert record["endpoint_config_name"] == aws.requests["updateEndpoint"][-1]["EndpointConfigName"]


def test_the_server_reads_what_the_stage_says_of_serving() -> None:
    wanted = {
        "engine": "openvino",
        "batch_photos": 16,
        "batch_wait_ms": 0,
        "queue_photos": 300,
        "timeout_seconds": 20,
    }
    aws = FakeAws()
    run(aws, settings=load_settings({"dev": {"endpoint": {"serving": wanted}}}, "dev"))
    environment = aws.requests["createModel"][0]["PrimaryContainer"]["Environment"]
    assert all(isinstance(value, str) for value in environment.values())
    limits = Limits.read(environment)
    assert asdict(limits.serving) == wanted
    assert limits.model_package == environment["PEDIGREE_MODEL_PACKAGE"]


def test_a_stage_that_says_nothing_of_serving_serves_as_the_server_does_by_itself() -> None:
    aws = FakeAws()
    run(aws)
    assert Limits.read(aws.requests["createModel"][0]["PrimaryContainer"]["Environment"]).serving == DEFAULT_SERVING

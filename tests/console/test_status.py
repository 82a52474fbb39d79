import io
import json
from typing import Any

from botocore.response import StreamingBody

from console.screen import Screen
from console.status import show_status
from contract.names import Output, Stack
from tests.console.events import START, at
from tests.console.fakes import FakeCloud
from tests.console.test_stacks import stack

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:machine"
PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/pedigree-laptop/3"
OUTPUTS = {
    Stack.DATA: {Output.BUCKET: "bucket"},
    Stack.FRONT_DOOR: {Output.API_URL: "https://api", Output.API_KEY: "key"},
    Stack.PIPELINE: {Output.STATE_MACHINE: MACHINE, Output.ENDPOINT: "pedigree-laptop"},
}


def _deployed(cloud: FakeCloud) -> None:
    for _ in range(2):
        for name in Stack:
            cloud.stub("cloudformation").add_response("describe_stacks", stack(name, **OUTPUTS[name]))


def _ran(cloud: FakeCloud, *executions: dict[str, Any]) -> None:
    cloud.stub("stepfunctions").add_response("list_executions", {"executions": list(executions)})


def _endpoint() -> dict[str, Any]:
    times = {"CreationTime": START, "LastModifiedTime": START}
    arn = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/pedigree-laptop"
    return {"EndpointName": "pedigree-laptop", "EndpointArn": arn, "EndpointStatus": "InService", **times}


def _serves(cloud: FakeCloud) -> None:
    """The record of what is in production."""
    model = json.dumps({"model_package_arn": PACKAGE, "training_job_name": "train-1"}).encode()
    cloud.stub("s3").add_response("get_object", {"Body": StreamingBody(io.BytesIO(model), len(model))})


def _package(properties: dict[str, str]) -> dict[str, Any]:
    return {
        "ModelPackageName": "pedigree-laptop",
        "ModelPackageArn": PACKAGE,
        "CreationTime": START,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "CustomerMetadataProperties": properties,
    }


def test_executions_endpoint_and_accuracy_are_shown(cloud: FakeCloud, screen: Screen, written: io.StringIO) -> None:
    _deployed(cloud)
    arns = {"executionArn": f"{MACHINE}:run-1", "stateMachineArn": MACHINE}
    _ran(cloud, {**arns, "name": "run-1", "status": "SUCCEEDED", "startDate": START, "stopDate": at(75)})
    cloud.stub("sagemaker").add_response("describe_endpoint", _endpoint())
    _serves(cloud)
    known = {"final:test_accuracy": "0.978", "final:errors_found": "0.0", "final:warnings_found": "2.0"}
    cloud.stub("sagemaker").add_response("describe_model_package", _package(known))
    show_status(cloud, screen)
    text = written.getvalue()
    assert "Page: https://api/ (opened with its key by: pedigree open)" in text
    assert "Found by the rules of its training: 0 errors, 2 warnings" in text
    assert "run-1" in text
    assert "1:15" in text
    assert "Endpoint pedigree-laptop: InService" in text
    assert "Test accuracy: 97.8 %" in text
    assert "Version 3, trained by train-1" in text


def test_a_version_that_was_deleted_from_the_registry_is_still_named(
    cloud: FakeCloud, screen: Screen, written: io.StringIO
) -> None:
    _deployed(cloud)
    _ran(cloud)
    cloud.stub("sagemaker").add_response("describe_endpoint", _endpoint())
    _serves(cloud)
    gone = "ModelPackage x does not exist."
    cloud.stub("sagemaker").add_client_error("describe_model_package", "ValidationException", gone)
    show_status(cloud, screen)
    assert "Version 3, trained by train-1" in written.getvalue()
    assert "accuracy" not in written.getvalue()


def test_before_the_first_run_it_says_how_to_start_one(cloud: FakeCloud, screen: Screen, written: io.StringIO) -> None:
    _deployed(cloud)
    _ran(cloud)
    cloud.stub("sagemaker").add_client_error("describe_endpoint", "ValidationException", "Could not find endpoint")
    cloud.stub("s3").add_client_error("get_object", "NoSuchKey")
    show_status(cloud, screen)
    assert "To start one: pedigree run" in written.getvalue()
    assert "no model has been deployed" in written.getvalue()


def test_a_deleted_endpoint_can_be_had_back(cloud: FakeCloud, screen: Screen, written: io.StringIO) -> None:
    _deployed(cloud)
    _ran(cloud)
    cloud.stub("sagemaker").add_client_error("describe_endpoint", "ValidationException", "Could not find endpoint")
    model = json.dumps({"model_package_arn": PACKAGE, "endpoint_config_name": "pedigree-laptop-abc"}).encode()
    cloud.stub("s3").add_response("get_object", {"Body": StreamingBody(io.BytesIO(model), len(model))})
    show_status(cloud, screen)
    command = "create-endpoint --endpoint-name pedigree-laptop --endpoint-config-name pedigree-laptop-abc"
    assert command in written.getvalue()


def test_before_the_first_deployment_it_says_how_to_deploy(
    cloud: FakeCloud, screen: Screen, written: io.StringIO
) -> None:
    for _ in Stack:
        cloud.stub("cloudformation").add_client_error("describe_stacks", "ValidationError", "it does not exist")
    show_status(cloud, screen)
    assert "stack Data: not deployed" in written.getvalue()
    assert "To deploy: pedigree deploy" in written.getvalue()

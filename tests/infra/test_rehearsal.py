"""The rehearsal: a new model answers a photo before users' requests reach it."""

from infra.settings import Endpoint, Rollout, Settings
from tests.infra.fake_aws import FakeAws
from tests.infra.machine import Task, TaskError
from tests.infra.running import run

RUNNING = {"EndpointStatus": "InService", "EndpointConfigName": "former"}


def serving(aws: FakeAws) -> FakeAws:
    aws.endpoint = [dict(RUNNING)]
    return aws


def test_a_model_answers_a_photo_on_an_endpoint_of_its_own_before_the_update(aws: FakeAws) -> None:
    assert run(serving(aws)).status == "SUCCEEDED"
    (created,) = aws.requests["createEndpoint"]
    run_name = aws.requests["createModel"][0]["ModelName"]
    assert created["EndpointName"] == run_name
    assert created["EndpointConfigName"] == f"{run_name}-rehearsal"
    assert aws.requests["invoke"][0]["Payload"]["endpoint_name"] == run_name
    assert "endpoint_name" not in aws.requests["invoke"][1]["Payload"]
    order = [call for call in aws.calls if call in ("createEndpoint", "invoke", "deleteEndpoint", "updateEndpoint")]
    assert order == ["createEndpoint", "invoke", "deleteEndpoint", "updateEndpoint", "invoke"]
    assert not aws.rehearsals


def test_one_instance_rehearses(aws: FakeAws) -> None:
    run(serving(aws), settings=Settings(image="x", endpoint=Endpoint(instances=3, capture_percent=10)))
    users, rehearsal = aws.requests["createEndpointConfig"]
    assert users["ProductionVariants"][0]["InitialInstanceCount"] == 3
    assert rehearsal["ProductionVariants"][0]["InitialInstanceCount"] == 1
    assert rehearsal["ProductionVariants"][0]["ModelName"] == users["ProductionVariants"][0]["ModelName"]
    assert "DataCaptureConfig" in users
    assert "DataCaptureConfig" not in rehearsal


def test_the_first_model_needs_no_rehearsal(aws: FakeAws) -> None:
    run(aws)
    assert [request["EndpointName"] for request in aws.requests["createEndpoint"]] == ["pedigree-dev"]


def test_there_is_none_where_the_settings_want_none(aws: FakeAws) -> None:
    settings = Settings(image="x", endpoint=Endpoint(rollout=Rollout(rehearsal=False)))
    assert run(serving(aws), settings=settings).status == "SUCCEEDED"
    assert "createEndpoint" not in aws.calls


def refused(aws: FakeAws) -> str:
    """Return why the execution failed, having made sure that the users' endpoint was left alone."""
    execution = run(aws)
    assert execution.error == "Pedigree.Deploy"
    assert "updateEndpoint" not in aws.calls
    assert not aws.rehearsals
    assert aws.registry.statuses() == ["Rejected"]
    return execution.cause


def test_a_container_that_ends_at_start_never_reaches_the_users(aws: FakeAws) -> None:
    serving(aws).rehearsal = [
        {"EndpointStatus": "Creating", "EndpointConfigName": "r"},
        {"EndpointStatus": "Failed", "EndpointConfigName": "r", "FailureReason": "did not pass the ping health check"},
    ]
    assert refused(aws) == "Deploy: the endpoint of the rehearsal ended Failed: did not pass the ping health check"


def test_a_model_that_answers_with_an_error_never_reaches_the_users(aws: FakeAws) -> None:
    aws.failures["invoke"] = TaskError("SmokeTestError", {"errorMessage": "the endpoint x answered 500: boom"})
    assert refused(serving(aws)) == "Deploy: the endpoint x answered 500: boom"


def test_a_container_that_never_answers_is_given_up_at_the_deadline(aws: FakeAws) -> None:
    serving(aws).rehearsal = [{"EndpointStatus": "Creating", "EndpointConfigName": "r"}]
    assert refused(aws) == "Deploy: the endpoint of the rehearsal was still Creating after 60 seconds"


def test_an_endpoint_that_cannot_be_deleted_while_it_is_created_is_deleted_later(aws: FakeAws) -> None:
    serving(aws).rehearsal = [{"EndpointStatus": "Creating", "EndpointConfigName": "r"}]
    tasks, refusals = aws.tasks, 5

    def patient() -> dict[str, Task]:
        made = tasks()
        delete = made["aws-sdk:sagemaker:deleteEndpoint"]

        def refuse_first(request: object) -> object:
            nonlocal refusals
            refusals -= 1
            if refusals >= 0:
                raise TaskError("SageMaker.SageMakerException", "Cannot update in-progress endpoint")
            return delete(request)

        return made | {"aws-sdk:sagemaker:deleteEndpoint": refuse_first}

    setattr(aws, "tasks", patient)  # noqa: B010 mypy refuses to assign a method
    refused(aws)


def test_a_rehearsal_that_is_not_to_be_had_is_told(aws: FakeAws) -> None:
    quota = TaskError("SageMaker.ResourceLimitExceededException", "the account-level limit is 1 Instances")
    execution = run(serving(aws), failing={"Deploy: create an endpoint to rehearse on": quota})
    assert "account-level limit" in execution.cause
    assert "deleteEndpoint" not in aws.calls


def test_the_endpoint_is_looked_at_again_after_the_rehearsal(aws: FakeAws) -> None:
    aws.endpoint = [dict(RUNNING), dict(RUNNING) | {"EndpointStatus": "Updating"}, dict(RUNNING)]
    execution = run(aws)
    assert execution.status == "SUCCEEDED"
    assert "Deploy: wait for an earlier change" in execution.path
    assert execution.path.count("Deploy: rehearse") == 1

"""The notice of an execution that went through."""

from tests.infra.fake_aws import FakeAws
from tests.infra.machine import TaskError
from tests.infra.running import run


def test_the_notice_says_how_good_the_model_is_and_where_to_look(aws: FakeAws) -> None:
    execution = run(aws)
    (sent,) = aws.requests["publish"]
    assert sent["TopicArn"].endswith(":pedigree-dev-notices")
    assert sent["Message"] == (
        "Pedigree dev: execution run-1 ended SUCCEEDED, with a test accuracy of 90 %. "
        f"https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1#/v2/executions/details/{execution.arn}"
    )


def test_the_notice_repeats_what_the_rules_warn_of(aws: FakeAws) -> None:
    aws.found = {"errors": [], "warnings": ["Overfit at step 90: a.", "Confusion: b."]}
    run(aws)
    assert "Its rules warn: Overfit at step 90: a. Confusion: b. https://" in aws.requests["publish"][0]["Message"]


def test_a_model_that_is_stopped_sends_no_such_notice(aws: FakeAws) -> None:
    aws.found = {"errors": ["AllZero: a."], "warnings": []}
    run(aws)
    assert "publish" not in aws.requests


def test_a_notice_that_cannot_be_sent_is_told_in_the_output_of_an_execution_that_succeeds(aws: FakeAws) -> None:
    aws.failures["publish"] = TaskError("Sns.AuthorizationErrorException", "not authorized to perform: SNS:Publish")
    execution = run(aws)
    assert execution.status == "SUCCEEDED", execution.cause
    assert "not authorized to perform: SNS:Publish" in execution.output["notice_not_sent"]
    assert "locks/deploy.json" not in aws.objects
    (package,) = aws.registry.packages.values()
    assert package["ModelApprovalStatus"] == "Approved"

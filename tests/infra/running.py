"""Runs the definition of a test stage against a scripted AWS."""

from collections.abc import Iterator
from typing import Any

from contract.metrics import FINAL_TEST_ACCURACY, FINAL_VALID_ACCURACY
from infra.settings import Defaults, Endpoint, Gate, Settings
from infra.state_machine.definition import definition
from infra.state_machine.facts import Facts
from tests.infra.fake_aws import FakeAws
from tests.infra.machine import Execution, Machine, TaskError

SETTINGS = Settings(
    image="pedigree:laptop",
    gate=Gate(minimum_accuracy=0.6, maximum_drop=0.02),
    endpoint=Endpoint(deadline_seconds=60),
    poll_seconds=20,
    defaults=Defaults(source="toy", trials=3, parallel_trials=5),
)
TEST, VALID = FINAL_TEST_ACCURACY.name, FINAL_VALID_ACCURACY.name
_EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:pedigree-dev:run-"
_ROLE = "arn:aws:iam::123456789012:role/"


def facts_of(settings: Settings) -> Facts:
    """Return facts as they are after a deployment."""
    return Facts(
        settings=settings,
        bucket="bucket",
        source_bundle="s3://assets/0123.tar.gz",
        cpu_image="123456789012.dkr.ecr.us-east-1.amazonaws.com/pedigree:cpu",
        gpu_image="123456789012.dkr.ecr.us-east-1.amazonaws.com/pedigree:cuda",
        job_role=f"{_ROLE}job",
        endpoint_role=f"{_ROLE}endpoint",
        endpoint_name=settings.prefix,
        smoke_test="arn:aws:lambda:us-east-1:123456789012:function:smoke",
        api_url="https://api.example.com/v1",
        customer_key="arn:aws:kms:us-east-1:123456789012:key/0123" if settings.customer_key else "",
        rollback_alarms=("pedigree-dev-endpoint-errors", "pedigree-dev-endpoint-latency"),
        notices="arn:aws:sns:us-east-1:123456789012:pedigree-dev-notices",
        source_revision="0123abc",
    )


def run(
    aws: FakeAws,
    given: dict[str, Any] | None = None,
    settings: Settings = SETTINGS,
    failing: dict[str, TaskError] | None = None,
) -> Execution:
    """Run one execution to its end."""
    execution, steps = start(aws, given, settings, failing)
    for _ in steps:
        pass
    return execution


def start(
    aws: FakeAws,
    given: dict[str, Any] | None = None,
    settings: Settings = SETTINGS,
    failing: dict[str, TaskError] | None = None,
) -> tuple[Execution, Iterator[str]]:
    """Return an execution that AWS knows of, and what runs it state by state."""
    execution = Execution(f"{_EXECUTION}{len(aws.executions) + 1}")
    aws.executions[execution.arn] = execution
    return execution, Machine(definition(facts_of(settings)), aws.tasks(), failing).steps(execution, given)


def jobs(aws: FakeAws) -> list[str]:
    """Return the steps whose training jobs were created."""
    names = [request["TrainingJobName"] for request in aws.requests.get("createTrainingJob", [])]
    return [name.split("-")[2] for name in names]

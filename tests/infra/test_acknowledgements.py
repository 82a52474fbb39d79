"""What cdk-nag's review of the stacks comes to, and that nothing passes it that is not written down."""

from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam

from infra.acknowledgements import ENTRIES, Entry, acknowledge
from infra.policies import allow, role
from infra.settings import load_settings
from infra.stacks import build_stage

# Everything that a stage can have and the ones of cdk.json have not.
COMPANY = {
    "customer_key": True,
    "debugger": "managed",
    "network": {"subnets": ["subnet-12345678"], "security_groups": ["sg-12345678"], "isolation": True},
    "endpoint": {"instances": 2, "capture_percent": 5, "scaling": {"maximum_instances": 4}},
    "reaper": {"idle_hours": 2},
    "watch": {"email": "somebody@example.com"},
    "source_buckets": ["photos-of-the-company"],
    "removal": "destroy",
}


@pytest.fixture(scope="module")
def reviews(
    context: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[set[Entry], list[str]]]:
    """What the review of each stage came to."""
    stages = context["stages"] | {"company": COMPANY}
    made = {}
    for stage in ("dev", "prod", "company"):
        app = App(context=context, outdir=str(tmp_path_factory.mktemp(stage)))
        build_stage(app, load_settings(stages, stage))
        app.synth()
        made[stage] = acknowledge(app)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["dev", "prod", "company"])
def test_nothing_is_found_that_is_not_acknowledged(
    reviews: dict[str, tuple[set[Entry], list[str]]], stage: str
) -> None:
    assert not reviews[stage][1]


@pytest.mark.slow
def test_every_acknowledgement_is_needed(reviews: dict[str, tuple[set[Entry], list[str]]]) -> None:
    used = set().union(*(entries for entries, _ in reviews.values()))
    assert [entry.subject for entry in ENTRIES if entry not in used] == []


def test_they_are_few_and_each_has_a_reason_of_its_own() -> None:
    assert len(ENTRIES) < 15
    assert len({entry.reason for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", "arn:aws:s3:::somebodys-bucket/*"),
        ("sagemaker:DeleteEndpoint", "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/*"),
        ("logs:PutLogEvents", "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/*"),
    ],
)
def test_another_wildcard_is_found(action: str, resource: str) -> None:
    app = App()
    statement = allow([action], [resource], sid="New")
    role(Stack(app, "S"), "Role", service="lambda.amazonaws.com", description="new", statements=[statement])
    _, left = acknowledge(app)
    assert left == [f"S/Role/Resource: AwsSolutions-IAM5[Resource::{resource}]"]


def test_everything_is_found_for_a_role_that_was_not_written_with_our_rules() -> None:
    app = App()
    stack = Stack(app, "S")
    user = iam.User(stack, "Role")
    user.add_to_policy(iam.PolicyStatement(actions=["s3:*"], resources=["*"]))
    _, left = acknowledge(app)
    assert {finding.rsplit("-", 1)[1] for finding in left} >= {"IAM5[Action::s3:*]", "IAM5[Resource::*]"}

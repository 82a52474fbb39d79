"""The state machine's role: its size, its sids, and that nothing is allowed where nothing is done."""

import json
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template

from infra.policies import UNPROVEN
from infra.settings import Endpoint, Night, Rollout, Scaling, Settings, Tuning
from infra.state_machine.role import state_machine_role
from tests.infra.running import SETTINGS, facts_of

# IAM's quota for all inline policies of a role, white space not counted.
_INLINE_CHARACTERS = 10_240
EVERYTHING = Settings(
    stage="a" * 10,
    image="x",
    customer_key=True,
    endpoint=Endpoint(instance_type="ml.m5.large", scaling=Scaling(maximum_instances=4, night=Night(begins="22:00"))),
)


def statements_of(settings: Settings) -> list[dict[str, Any]]:
    stack = Stack(App(), "Stack", env={"account": "123456789012", "region": "ap-southeast-2"})
    bucket = f"arn:aws:s3:::{'b' * 63}"
    state_machine_role(stack, "Role", facts=facts_of(settings), bucket_arn=bucket)
    ((_, role),) = Template.from_stack(stack).find_resources("AWS::IAM::Role").items()
    (policy,) = role["Properties"]["Policies"]
    made: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return made


def resolved(value: Any) -> Any:
    """Return a part of a template with its references filled in."""
    if isinstance(value, list):
        return [resolved(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value == {"Ref": "AWS::Partition"}:
        return "aws-us-gov"
    if value.keys() == {"Fn::Join"}:
        return "".join(resolved(value["Fn::Join"][1]))
    return {key: resolved(item) for key, item in value.items()}


def sids(settings: Settings) -> list[str]:
    return [statement["Sid"] for statement in statements_of(settings)]


def test_the_policy_fits_a_role_with_everything_on_and_the_longest_names() -> None:
    text = json.dumps(resolved(statements_of(EVERYTHING)), separators=(",", ":"))
    assert len(text) < _INLINE_CHARACTERS


def test_every_statement_has_a_name_of_its_own() -> None:
    found = sids(EVERYTHING)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("sid", ["EndpointGrant", "ScalingRole"])
def test_what_no_laptop_can_miss_stands_with_its_reason(sid: str) -> None:
    assert sid in sids(EVERYTHING)
    assert sid in UNPROVEN


def test_without_scaling_nothing_of_scaling_is_allowed() -> None:
    assert not [sid for sid in sids(SETTINGS) if sid.startswith("Scaling")]


def test_without_nights_no_schedule_may_be_made() -> None:
    days = Settings(image="x", endpoint=Endpoint(scaling=Scaling(maximum_instances=2)))
    text = json.dumps(statements_of(days))
    assert "PutScalingPolicy" in text
    assert "PutScheduledAction" not in text


def test_the_key_is_handed_on_only_where_there_is_one_for_the_volumes() -> None:
    assert "EndpointGrant" not in sids(SETTINGS)
    own_disks = Settings(image="x", customer_key=True, endpoint=Endpoint(instance_type="ml.g4dn.xlarge"))
    assert "EndpointGrant" not in sids(own_disks)


def test_only_rehearsals_need_endpoints_named_after_runs() -> None:
    settings = Settings(image="x", endpoint=Endpoint(rollout=Rollout(rehearsal=False)))
    for rehearsed, text in ((True, json.dumps(statements_of(SETTINGS))), (False, json.dumps(statements_of(settings)))):
        assert ("endpoint/pedigree-dev-*" in text) is rehearsed


def test_where_one_job_runs_all_trials_the_tuner_is_out_of_reach_and_what_that_job_leaves_can_be_read() -> None:
    single = Settings(image="x", tuning=Tuning(mode="single_job"))
    assert not [sid for sid in sids(single) if sid.startswith("Tuning")]

    def readable(settings: Settings) -> str:
        statements = resolved(statements_of(settings))
        return json.dumps([each["Resource"] for each in statements if "s3:GetObject" in str(each["Action"])])

    assert "/tuning/*" in readable(single)
    assert "/tuning/*" not in readable(SETTINGS)

"""Roles read from a small template, as synthesized and as deployed to a local cloud."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.iam.roles import Role, changed, deployed, document, template_roles
from tests.local_cloud.adapter.conftest import Actor
from tests.local_cloud.conftest import RunningCloud

_TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
_READ = {"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::roles/*"}
_WRITE = {"Effect": "Allow", "Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": ["arn:aws:s3:::roles/*"]}
_DENY = {"Sid": "Never", "Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*"}
_TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Reader": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "Description": "Reads",
                "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [_TRUST]},
                "Policies": [
                    {"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": [_READ, _DENY]}}
                ],
            },
        },
        "Attached": {
            "Type": "AWS::IAM::Policy",
            "Properties": {
                "PolicyName": "attached",
                "Roles": [{"Ref": "Reader"}],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [_WRITE]},
            },
        },
    }
}


def test_the_policies_in_a_role_and_those_attached_to_it_are_its_statements() -> None:
    (role,) = template_roles("stack", _TEMPLATE)
    assert (role.title, role.services) == ("Reads", ("lambda.amazonaws.com",))
    assert [(each.sid, each.policy, each.actions) for each in role.statements] == [
        ("Read", "own", ("s3:GetObject",)),
        ("attached#1", "attached", ("s3:PutObject", "s3:DeleteObject")),
    ]


@pytest.fixture(scope="module")
def role(cloud: RunningCloud) -> Role:
    stacks = cloud.client("cloudformation")
    stacks.create_stack(StackName="roles", TemplateBody=json.dumps(_TEMPLATE), Capabilities=["CAPABILITY_IAM"])
    stacks.get_waiter("stack_create_complete").wait(StackName="roles", WaiterConfig={"Delay": 1})
    cloud.client("s3").create_bucket(Bucket="roles")
    (found,) = template_roles("roles", _TEMPLATE)
    return deployed(found, stacks, cloud.client("iam"))


def test_a_deployed_role_has_the_statements_of_its_template(role: Role) -> None:
    assert role.arn == f"arn:aws:iam::000000000000:role/{role.name}"
    assert [each.sid for each in role.statements] == ["Read", "attached#1"]
    assert role.statements[0].resources == ("arn:aws:s3:::roles/*",)


@pytest.mark.parametrize("place", [0, 1])
def test_a_statement_is_missed_while_it_is_taken_away_and_only_then(
    cloud: RunningCloud, role: Role, place: int
) -> None:
    s3 = Actor(cloud, role.arn).client("s3")
    calls = {
        0: lambda: s3.get_object(Bucket="roles", Key="a"),
        1: lambda: s3.put_object(Bucket="roles", Key="a", Body=b""),
    }
    calls[1]()
    with changed(cloud.client("iam"), role, role.statements[place], None):
        with pytest.raises(ClientError, match="AccessDenied"):
            calls[place]()
        calls[1 - place]()
    calls[place]()


def test_another_statement_can_stand_in_its_place(cloud: RunningCloud, role: Role) -> None:
    s3 = Actor(cloud, role.arn).client("s3")
    with changed(cloud.client("iam"), role, role.statements[1], document(role.statements[1], Action=["s3:PutObject"])):
        s3.put_object(Bucket="roles", Key="b", Body=b"")
        with pytest.raises(ClientError, match="s3:DeleteObject"):
            s3.delete_object(Bucket="roles", Key="b")
    s3.delete_object(Bucket="roles", Key="b")

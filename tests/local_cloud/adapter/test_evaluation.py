from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.adapter.conftest import Actor
from tests.local_cloud.conftest import RunningCloud, allow

Act = Callable[..., Actor]


@pytest.fixture(scope="module")
def bucket(cloud: RunningCloud) -> str:
    cloud.client("s3").create_bucket(Bucket="evaluation")
    return "evaluation"


def test_what_is_allowed_is_recorded_with_role_session_and_resource(act: Act, bucket: str) -> None:
    actor = act(allow("s3:PutObject", f"arn:aws:s3:::{bucket}/a"))
    actor.client("s3").put_object(Bucket=bucket, Key="a", Body=b"")
    (found,) = actor.trail()
    assert (found.session, found.action, found.resource) == ("test", "s3:PutObject", f"arn:aws:s3:::{bucket}/a")
    assert found.allowed


def test_what_is_refused_is_recorded_too(act: Act, bucket: str) -> None:
    actor = act(allow("s3:PutObject", f"arn:aws:s3:::{bucket}/a"))
    with pytest.raises(ClientError, match="AccessDenied"):
        actor.client("s3").put_object(Bucket=bucket, Key="b", Body=b"")
    assert actor.asked() == [("s3:PutObject", f"arn:aws:s3:::{bucket}/b", False)]


def test_a_condition_key_of_the_request_is_recorded(act: Act, bucket: str) -> None:
    actor = act(allow("s3:ListBucket"))
    actor.client("s3").list_objects_v2(Bucket=bucket, Prefix="photos/")
    assert actor.trail()[0].context["s3:prefix"] == "photos/"


def test_people_leave_no_trail(cloud: RunningCloud, act: Act, bucket: str) -> None:
    actor = act(allow("s3:ListBucket"))
    cloud.client("s3").list_objects_v2(Bucket=bucket)
    assert actor.trail() == []


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "denial"),
    [
        (
            "s3",
            "put_object",
            {"Bucket": "evaluation", "Key": "a", "Body": b""},
            's3:PutObject on resource: "arn:aws:s3:::evaluation/a" because no identity-based policy allows the '
            "s3:PutObject action",
        ),
        (
            "stepfunctions",
            "start_execution",
            {"stateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:m"},
            "states:StartExecution on resource: arn:aws:states:us-east-1:000000000000:stateMachine:m because no "
            "identity-based policy allows the states:StartExecution action",
        ),
        (
            "sns",
            "publish",
            {"TopicArn": "arn:aws:sns:us-east-1:000000000000:t", "Message": "m"},
            "sns:Publish on resource: arn:aws:sns:us-east-1:000000000000:t because no identity-based policy allows "
            "the sns:Publish action",
        ),
    ],
)
def test_a_refusal_is_worded_as_on_aws(
    act: Act, bucket: str, service: str, operation: str, arguments: dict[str, Any], denial: str
) -> None:
    actor = act(allow("s3:GetObject", "arn:aws:s3:::nothing/*"))
    with pytest.raises(ClientError) as refused:
        getattr(actor.client(service), operation)(**arguments)
    user = f"arn:aws:sts::000000000000:assumed-role/{actor.role.rpartition('/')[2]}/test"
    assert refused.value.response["Error"]["Message"] == f"User: {user} is not authorized to perform: {denial}"

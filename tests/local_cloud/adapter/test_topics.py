"""Encrypted topics, and events that reach a topic under a role."""

import json
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.adapter.conftest import Actor
from tests.local_cloud.conftest import RunningCloud, allow

Act = Callable[..., Actor]


@pytest.fixture(scope="module")
def key(cloud: RunningCloud) -> str:
    arn: str = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture(scope="module")
def topic(cloud: RunningCloud, key: str) -> str:
    """A topic with a key, made from a template; its policy allows nobody to publish."""
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sns:DeleteTopic", "Resource": "*"}
    policy = {"Topics": [{"Ref": "T"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [deny]}}
    template = {
        "Resources": {
            "T": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "encrypted", "KmsMasterKeyId": key}},
            "P": {"Type": "AWS::SNS::TopicPolicy", "Properties": policy},
        }
    }
    stacks = cloud.client("cloudformation")
    stacks.create_stack(StackName="topics", TemplateBody=json.dumps(template))
    stacks.get_waiter("stack_create_complete").wait(StackName="topics", WaiterConfig={"Delay": 1})
    return "arn:aws:sns:us-east-1:000000000000:encrypted"


@pytest.mark.parametrize("missing", ["kms:GenerateDataKey", "kms:Decrypt"])
def test_who_publishes_to_an_encrypted_topic_needs_its_key(act: Act, topic: str, key: str, missing: str) -> None:
    (other,) = {"kms:GenerateDataKey", "kms:Decrypt"} - {missing}
    actor = act(allow("sns:Publish", topic), allow(other, key))
    with pytest.raises(ClientError, match=f"not authorized to perform: {missing} on resource: {key} because"):
        actor.client("sns").publish(TopicArn=topic, Message="m")


def test_with_the_key_messages_are_published(act: Act, topic: str, key: str) -> None:
    actor = act(allow("sns:Publish", topic), allow(["kms:GenerateDataKey", "kms:Decrypt"], key))
    actor.client("sns").publish(TopicArn=topic, Message="m")
    assert [action for action, _, _ in actor.asked()] == ["sns:Publish", "kms:GenerateDataKey", "kms:Decrypt"]


@pytest.mark.parametrize("allowed", [True, False])
def test_an_event_reaches_a_topic_as_far_as_the_role_of_the_target_allows(cloud: RunningCloud, allowed: bool) -> None:
    name = f"events-{allowed}"
    topic = cloud.client("sns").create_topic(Name=name)["TopicArn"]
    role = cloud.role(name, "events.amazonaws.com", allow("sns:Publish" if allowed else "sns:Subscribe", topic))
    nobody = {"Effect": "Deny", "Principal": "*", "Action": "sns:DeleteTopic", "Resource": "*"}
    cloud.client("sns").set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Statement": [nobody]})
    )
    queue = cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:000000000000:{name}")
    everything = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    cloud.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    events = cloud.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": "topic", "Arn": topic, "RoleArn": role}])
    events.put_events(Entries=[{"Source": name, "DetailType": "d", "Detail": "{}"}])
    seconds = 20 if allowed else 1
    messages = cloud.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=seconds).get("Messages", [])
    assert bool(messages) is allowed

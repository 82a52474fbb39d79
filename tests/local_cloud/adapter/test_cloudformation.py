"""Stacks with something that cannot be deleted yet."""

import json

from tests.local_cloud.conftest import RunningCloud


def test_what_a_resource_that_stays_needs_stays_too_and_goes_with_it(cloud: RunningCloud) -> None:
    stacks, s3 = cloud.client("cloudformation"), cloud.client("s3")
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "needed"}}
    bucket = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"BucketName": "needing", "Tags": [{"Key": "topic", "Value": {"Ref": "Topic"}}]},
    }
    template = {"Resources": {"Topic": topic, "Bucket": bucket}}
    stacks.create_stack(StackName="order", TemplateBody=json.dumps(template))
    stacks.get_waiter("stack_create_complete").wait(StackName="order", WaiterConfig={"Delay": 1})
    s3.put_object(Bucket="needing", Key="a", Body=b"")
    stacks.delete_stack(StackName="order")
    while stacks.describe_stacks(StackName="order")["Stacks"][0]["StackStatus"] == "DELETE_IN_PROGRESS":
        pass
    assert _topics(cloud) == 1
    s3.delete_object(Bucket="needing", Key="a")
    stacks.delete_stack(StackName="order")
    stacks.get_waiter("stack_delete_complete").wait(StackName="order", WaiterConfig={"Delay": 1})
    assert _topics(cloud) == 0


def _topics(cloud: RunningCloud) -> int:
    topics = cloud.client("sns").list_topics()["Topics"]
    return sum(topic["TopicArn"].endswith(":needed") for topic in topics)

"""Application Auto Scaling in a running local cloud: routed, signed, and judged by the policies of its caller."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.conftest import IMAGE, RunningCloud, allow

VARIANT = "endpoint/scaled/variant/v"
SCOPE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": VARIANT,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
REGISTER = allow(
    "application-autoscaling:*", "arn:aws:application-autoscaling:us-east-1:000000000000:scalable-target/*"
)
ENDPOINT = allow(
    ["sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"],
    "arn:aws:sagemaker:us-east-1:000000000000:endpoint/scaled",
)


def endpoint(cloud: RunningCloud) -> None:
    """Create an endpoint without waiting for it more than needed."""
    sagemaker = cloud.client("sagemaker")
    role = cloud.role("scaled-model", "sagemaker.amazonaws.com", allow("s3:*"))
    sagemaker.create_model(ModelName="scaled", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=role)
    variant = {"VariantName": "v", "ModelName": "scaled", "InstanceType": "ml.m5.large", "InitialInstanceCount": 2}
    sagemaker.create_endpoint_config(EndpointConfigName="scaled", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="scaled", EndpointConfigName="scaled")
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName="scaled", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )


def as_role(cloud: RunningCloud, name: str, *statements: dict[str, Any]) -> Any:
    """Return a client that acts under a role with these statements."""
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy)
    session = cloud.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="me")["Credentials"]
    return cloud.client(
        "application-autoscaling",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )


def test_a_variant_is_scaled_under_the_policies_of_the_caller(cloud: RunningCloud) -> None:
    endpoint(cloud)
    bounds = {"MinCapacity": 3, "MaxCapacity": 4}
    for name, statements, words in (
        ("nobody", [ENDPOINT], "not authorized to perform: application-autoscaling:RegisterScalableTarget"),
        ("helpless", [REGISTER], "not authorized to perform: sagemaker:DescribeEndpoint"),
        (
            "other-service",
            [
                {**REGISTER, "Condition": {"StringEquals": {"application-autoscaling:service-namespace": "ecs"}}},
                ENDPOINT,
            ],
            "not authorized to perform: application-autoscaling:RegisterScalableTarget",
        ),
    ):
        with pytest.raises(ClientError, match=words):
            as_role(cloud, name, *statements).register_scalable_target(**SCOPE, **bounds)
    condition = {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}}
    scaler = as_role(cloud, "scaler", {**REGISTER, "Condition": condition}, ENDPOINT)
    arn = scaler.register_scalable_target(**SCOPE, **bounds)["ScalableTargetARN"]
    assert arn.startswith("arn:aws:application-autoscaling:us-east-1:000000000000:scalable-target/")
    variants = cloud.client("sagemaker").describe_endpoint(EndpointName="scaled")["ProductionVariants"]
    assert (variants[0]["CurrentInstanceCount"], variants[0]["DesiredInstanceCount"]) == (3, 3)
    with pytest.raises(ClientError, match="not authorized to perform: application-autoscaling:DescribeScalableTargets"):
        scaler.describe_scalable_targets(ServiceNamespace="sagemaker")
    scaler.deregister_scalable_target(**SCOPE)
    own = cloud.client("application-autoscaling")
    assert own.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
    with pytest.raises(ClientError, match="No scalable target found") as refused:
        own.deregister_scalable_target(**SCOPE)
    assert refused.value.response["Error"]["Code"] == "ObjectNotFoundException"

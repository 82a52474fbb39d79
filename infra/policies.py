"""IAM written out: every statement names its actions, resources and reason to be."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

# What SageMaker looks at before it puts network interfaces into a VPC.
VPC_DESCRIPTIONS: Final = (
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)

# What the Step Functions developer guide ("Logging using CloudWatch Logs") asks for: the service sets up a delivery of
# its own to the log group, and checks it with the state machine's role.
LOG_DELIVERY: Final = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)

# Statement id, or action -> why it is needed although nothing on the laptop fails without it: `make prove-iam` removes
# every other statement in turn and wants to see a run fail. One that stands here and is asked for after all is refused.
UNPROVEN: Final[Mapping[str, str]] = {
    "AmazonAPIGatewayPushToCloudWatchLogs": "a policy of AWS's own; the local API Gateway writes no access logs",
    **dict.fromkeys(
        (
            "BuildLogin",
            "BuildLogs",
            "BuildLook",
            "BuildPush",
            "BuildSource",
            "BuildSourceBucket",
            "BuildStart",
            "ImageFind",
            "ImageLogin",
            "ImagePull",
        ),
        "images are built in the cloud only; on the laptop the project's own virtual environment is the image",
    ),
    "DebuggerImagePull": "the local SageMaker evaluates no rules of SageMaker's Debugger",
    "DebuggerLogs": "the local SageMaker evaluates no rules of SageMaker's Debugger",
    "DebuggerMetrics": "the local SageMaker evaluates no rules of SageMaker's Debugger",
    "EndpointGrant": "the laptop's jobs and endpoints have no volumes of their own",
    "JobTagsRead": "AWS's documentation asks for it; the local Step Functions reads no tags",
    "LogDelivery": "the local Step Functions writes no logs",
    "OutputEncrypt": "AWS's documentation asks for it beside what S3 checks; the local SageMaker checks what S3 does",
    "ScalingRole": "AWS makes the role itself at the account's first scaling; the local cloud has it from the start",
    "sagemaker:DescribeEndpointConfig": "AWS's documentation asks it of who scales; the local cloud looks at no more",
    "Tracing": "the local cloud has no X-Ray; without it, functions and executions work and leave no traces",
    "VolumeGrant": "the laptop's jobs and endpoints have no volumes of their own",
    "VpcInterfaces": "the local cloud has no VPC that a container could stand in",
    "VpcInterfacesUse": "the local cloud has no VPC that a container could stand in",
    "VpcLook": "the local cloud has no VPC that a container could stand in",
}

# The only actions that any statement may allow on "*", each with the reason why no smaller resource can be named.
ON_EVERYTHING: Final[Mapping[str, str]] = {
    "application-autoscaling:DescribeScalableTargets": "has no resource-level permission; it lists the account's",
    "cloudwatch:GetMetricStatistics": "has no resource-level permission; it reads numbers",
    "cloudwatch:PutMetricData": "has no resource-level permission; a condition on the namespace limits it",
    "ecr:GetAuthorizationToken": "has no resource-level permission; the token opens what the role may pull or push",
    **dict.fromkeys(
        LOG_DELIVERY, "has no resource-level permission; Step Functions asks for it before it logs executions"
    ),
    **dict.fromkeys(
        (
            "sagemaker:ListEndpointConfigs",
            "sagemaker:ListEndpoints",
            "sagemaker:ListHyperParameterTuningJobs",
            "sagemaker:ListModelPackageGroups",
            "sagemaker:ListModels",
            "sagemaker:ListTrainingJobs",
        ),
        "has no resource-level permission; it lists names, and only those of the stage are deleted",
    ),
    **dict.fromkeys(VPC_DESCRIPTIONS, "has no resource-level permission; it only describes"),
    "xray:PutTelemetryRecords": "has no resource-level permission; a trace belongs to no resource",
    "xray:PutTraceSegments": "has no resource-level permission; a trace belongs to no resource",
}


def allow(
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    sid: str,
    conditions: Mapping[str, Any] | None = None,
) -> iam.PolicyStatement:
    """Return a statement that allows named actions on named resources.

    Raises:
        ValueError: an action holds a wildcard, or is allowed on everything although nothing says why it has to be.
    """
    wild = [action for action in actions if "*" in action]
    if wild:
        raise ValueError(f"{sid}: name the actions instead of {', '.join(wild)}")
    unexplained = [action for action in actions if "*" in resources and action not in ON_EVERYTHING]
    if unexplained:
        raise ValueError(f"{sid}: name the resources of {', '.join(unexplained)}, or say in ON_EVERYTHING why not")
    return iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources), conditions=conditions or {})


def role(
    scope: Construct,
    construct_id: str,
    *,
    service: str,
    description: str,
    statements: Sequence[iam.PolicyStatement],
    conditions: Mapping[str, Any] | None = None,
) -> iam.Role:
    """Return a role that ``service`` may assume, its policy inline: the role never exists without it."""
    return iam.Role(
        scope,
        construct_id,
        assumed_by=iam.ServicePrincipal(service, conditions=conditions),
        description=description,
        inline_policies={"Policy": iam.PolicyDocument(statements=list(statements))},
    )


def from_this_account(scope: Construct) -> dict[str, Any]:
    """Return the trust condition that keeps a service from being used as another account's deputy."""
    return {"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}}


def arn(scope: Construct, service: str, resource: str, name: str, *, separator: str = "/") -> str:
    """Return the ARN of a resource of this account and region, also of one that does not exist yet."""
    form = {"/": ArnFormat.SLASH_RESOURCE_NAME, ":": ArnFormat.COLON_RESOURCE_NAME}[separator]
    return Stack.of(scope).format_arn(service=service, resource=resource, resource_name=name, arn_format=form)


def read_write(
    bucket_arn: str,
    *,
    read: Sequence[str],
    write: Sequence[str] = (),
    sid: str = "",
    key_arn: str = "",
    lists: bool = True,
) -> list[iam.PolicyStatement]:
    """Return what allows reading and writing objects below prefixes, and, where it ``lists``, being told what is there.

    ``key_arn`` is the KMS key that encrypts the bucket; empty where that is one of S3's own, which ask no permission.

    Listing is not limited to prefixes: S3 answers a missing key with AccessDenied, not NoSuchKey, to those who may not
    list the bucket, and a GetObject request carries no prefix that a condition could look at.
    """
    statements = [allow(["s3:ListBucket"], [bucket_arn], sid=f"{sid}List")] if lists else []
    statements.append(allow(["s3:GetObject"], [f"{bucket_arn}/{each}" for each in read], sid=f"{sid}Read"))
    if write:
        statements.append(allow(["s3:PutObject"], [f"{bucket_arn}/{each}" for each in write], sid=f"{sid}Write"))
    if key_arn:
        # Readers decrypt; writers want a data key, and decrypt too where an upload has several parts.
        statements.append(allow(["kms:Decrypt"], [key_arn], sid=f"{sid}Decrypt"))
    if key_arn and write:
        statements.append(allow(["kms:GenerateDataKey"], [key_arn], sid=f"{sid}Encrypt"))
    return statements


def remove_scaling(scope: Construct) -> iam.PolicyStatement:
    """Return what allows taking the scaling of endpoints away; a target's name says nothing of what it scales."""
    return allow(
        ["application-autoscaling:DeregisterScalableTarget"],
        [arn(scope, "application-autoscaling", "scalable-target", "*")],
        sid="RemoveScaling",
        conditions={"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}},
    )

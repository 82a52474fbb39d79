"""Findings of cdk-nag that stand, each with its reason; everything else that it finds stops a deployment.

An entry matches findings by the rule, by what the rule names, and by where in the construct tree that stands. It is
acknowledged at that one resource only, so that a new finding of the same rule elsewhere is a finding.
"""

import re
from dataclasses import dataclass
from typing import Final

import jsii
from aws_cdk import (
    Acknowledgment,
    IPolicyValidationContext,
    IPolicyValidationPlugin,
    PolicyValidationPluginReport,
    Validations,
)
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct

from contract.names import PROJECT, Prefix

_ARN: Final = r"arn:<AWS::Partition>:{service}:<AWS::Region>:<AWS::AccountId>:"
# The bucket's ARN, in its own stack and in another one.
_BUCKET: Final = r'(<DataBucket\w+\.Arn>|\{"Fn::GetStackOutput":\{[^{}]+\{[^{}]+\}[^{}]+FnGetAttDataBucket\w+"\}\})'
_OWN_NAME: Final = rf"{PROJECT}-[a-z0-9]+"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One family of findings that has one reason."""

    rule: str  # of the pack AwsSolutions, or several with a bar between them
    finding: str = ""  # expression for what the rule names in brackets, if it names something
    place: str  # expression for the path below the stack
    subject: str  # what it is about, for people
    reason: str

    def covers(self, rule_name: str, path: str) -> bool:
        """Return whether a finding at a construct's path belongs to this family."""
        name = rf"AwsSolutions-({self.rule})" + (rf"\[{self.finding}\]" if self.finding else "")
        return bool(re.fullmatch(name, rule_name) and re.fullmatch(self.place, path.split("/", 1)[1]))


ENTRIES: Final = (
    Entry(
        rule="APIG3",
        place="FrontDoor/Api/DeploymentStage.v1/Resource",
        subject="no web application firewall before the API",
        reason="Every call needs an API key, is throttled, and carries one photo, which is checked by its bytes. A web "
        "ACL costs more per month than the rest of an idle stage; a company that has one associates it with the stage.",
    ),
    Entry(
        rule="APIG4|COG4",
        place="FrontDoor/Api/Default/predict/(POST|ANY)/Resource",
        subject="methods without an authorizer, such as a Cognito user pool",
        reason="Whoever has a key of the usage plan may ask, and each method requires one. The clients are programs, "
        "and nothing that belongs to a user is stored or answered, so there is no identity to authorize.",
    ),
    Entry(
        rule="IAM4",
        finding=r"Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs",
        place="FrontDoor/Logs/Role/Resource",
        subject="AWS's policy on the role by which API Gateway writes logs",
        reason="The role is the account's, for all REST APIs of a region, and only API Gateway assumes it, which "
        "refuses a role that may do less than this policy.",
    ),
    Entry(
        rule="IAM5",
        finding=r"Resource::\*",
        place=".+/Role/Resource|Roles/(Job|Endpoint)/Resource|Images/Build/BuildRole/Resource",
        subject='statements on "*"',
        reason="Only actions without a smaller resource: infra/policies.py lists them in ON_EVERYTHING, each with its "
        "reason, and refuses every other one.",
    ),
    Entry(
        rule="IAM5",
        finding=rf"Resource::{_BUCKET}/({'|'.join(Prefix)})/\*(/[a-z]+\.json)?",
        place=".+",
        subject="all objects below one prefix of the stage's bucket",
        reason="Objects are named by the jobs that write them; each role gets the prefixes that it reads or writes.",
    ),
    Entry(
        rule="IAM5",
        finding=rf"Resource::{_ARN.format(service='sagemaker')}[a-z-]+/{_OWN_NAME}[-/]\*",
        place=".+",
        subject="all of one kind of SageMaker resource whose names begin with the stage's",
        reason="Executions make them and name them <prefix>-<run>, model packages <prefix>/<number>; no other stage's "
        "begin so, since a stage's name holds letters and digits only.",
    ),
    Entry(
        rule="IAM5",
        finding=rf"Resource::(<\w+Logs\w+\.Arn>|{_ARN.format(service='logs')}log-group:/aws/sagemaker/[A-Za-z]+(/{_OWN_NAME})?):\*",
        place=".+",
        subject="all streams of one log group",
        reason="A stream is named by the container that writes it, and streams are what these permissions are about.",
    ),
    Entry(
        rule="IAM5",
        finding=rf"Resource::{_ARN.format(service='states')}execution:({_OWN_NAME}|<PipelineStateMachine\w+\.Name>):\*",
        place="(Pipeline|Cleanup/CleanUp)/Role/Resource",
        subject="all executions of the stage's state machine",
        reason="Executions are named when they are started; an execution looks at the one that holds the lock, and the "
        "stack's deletion stops what still runs.",
    ),
    Entry(
        rule="IAM5",
        finding=rf"Resource::{_ARN.format(service='application-autoscaling')}scalable-target/\*",
        place="(Pipeline|Cleanup/CleanUp|Reaper/Reap)/Role/Resource",
        subject="scalable targets",
        reason="AWS gives a target an identifier of its own when it is registered; requests name it by the endpoint.",
    ),
    Entry(
        rule="IAM5",
        finding=rf"Resource::{_ARN.format(service='logs')}log-group:/aws/sagemaker/Endpoints/{_OWN_NAME}-\*(:\*)?",
        place=r"Cleanup/CleanUp/Role/Resource",
        subject="the log groups of rehearsals' endpoints",
        reason="Each rehearsal has an endpoint named <prefix>-<run>, for which SageMaker makes a log group; they go "
        "with the stack.",
    ),
    Entry(
        rule="IAM5",
        finding=r"Resource::<Data(Bucket|AccessLogs)\w+\.Arn>/\*",
        place="Data/EmptyBuckets/Empty/Role/Resource",
        subject="all objects of the stage's two buckets",
        reason="CloudFormation deletes no bucket that holds something: the function empties both when the stack of a "
        "stage that keeps nothing is deleted, and exists in no other stage.",
    ),
    Entry(
        rule="IAM5",
        finding=r"Resource::arn:<AWS::Partition>:s3:::[a-z0-9.-]+/\*",
        place="Roles/Job/Resource",
        subject="all objects of the buckets that source_buckets names",
        reason="An execution's input says below which prefix of such a bucket its photos stand; jobs only read there.",
    ),
    Entry(
        rule="IAM5",
        finding=rf"Resource::{_ARN.format(service='cloudwatch')}alarm:TargetTracking-endpoint/{_OWN_NAME}/variant/[A-Za-z]+\*",
        place="Pipeline/Role/Resource",
        subject="the alarms of the endpoint's target tracking",
        reason="Application Auto Scaling makes them on behalf of who registers the scaling, and ends their names with "
        "an identifier of its own.",
    ),
    Entry(
        rule="IAM5",
        finding=rf"Resource::{_ARN.format(service='ec2')}network-interface/\*",
        place="Roles/(Job|Endpoint)/Resource",
        subject="network interfaces of the containers in a VPC",
        reason="SageMaker makes them for each job and each endpoint, in the subnets that the settings name, and "
        "removes them: their identifiers are not known before.",
    ),
)


@jsii.implements(IPolicyValidationPlugin)
class Review:
    """cdk-nag's pack AwsSolutions as a plugin of CDK's validation, with the entries above acknowledged.

    That has to wait until CDK validates: only then do references between stacks have the names that findings hold.
    """

    def __init__(self) -> None:
        self._pack = AwsSolutionsChecks()

    @property
    def name(self) -> str:
        """What the validation report calls the pack."""
        return self._pack.name

    @property
    def version(self) -> str | None:
        """The version of the pack."""
        return self._pack.version

    @property
    def rule_ids(self) -> list[str] | None:
        """All rules of the pack."""
        return self._pack.rule_ids

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        """Return what the pack finds in the finished app and no entry covers."""
        acknowledge(context.app_construct)
        return self._pack.validate_scope(context.app_construct)


def acknowledge(app: IConstruct) -> tuple[set[Entry], list[str]]:
    """Acknowledge what the entries cover in a synthesized app; return the entries that did, and what is left over."""
    used: set[Entry] = set()
    left: list[str] = []
    for violation in AwsSolutionsChecks().validate_scope(app).violations:
        for found in violation.violating_resources:
            assert found.construct_path is not None, "cdk-nag names constructs"
            covering = [entry for entry in ENTRIES if entry.covers(violation.rule_name, found.construct_path)]
            if not covering:
                left.append(f"{found.construct_path}: {violation.rule_name}")
                continue
            acknowledged = Acknowledgment(id=violation.rule_name, reason=covering[0].reason)
            Validations.of(_construct_at(app, found.construct_path)).acknowledge(acknowledged)
            used.add(covering[0])
    return used, left


def _construct_at(app: IConstruct, path: str) -> IConstruct:
    found = app
    for name in path.split("/"):
        found = found.node.find_child(name)
    return found

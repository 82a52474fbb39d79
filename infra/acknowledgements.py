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

    rule: str  # of the pack AwsSolutions
    finding: str = ""  # expression for what the rule names in brackets, if it names something
    place: str  # expression for the path below the stack
    subject: str  # what it is about, for people
    reason: str

    def covers(self, rule_name: str, path: str) -> bool:
        """Return whether a finding at a construct's path belongs to this family."""
        name = rf"AwsSolutions-{self.rule}" + (rf"\[{self.finding}\]" if self.finding else "")
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
        rule="APIG4",
        place="FrontDoor/Api/Default/predict/(POST|ANY)/Resource",
        subject="methods without an authorizer",
        reason="Whoever has a key of the usage plan may ask, and each method requires one: nothing that belongs to a "
        "user is stored or answered, so there is no identity to authorize.",
    ),
    Entry(
        rule="COG4",
        place="FrontDoor/Api/Default/predict/(POST|ANY)/Resource",
        subject="methods without a Cognito user pool",
        reason="The API's clients are programs with a key; it has no users who could sign in.",
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
        finding=rf"Resource::{_BUCKET}/({'|'.join(Prefix)})/\*",
        place=".+",
        subject="all objects below one prefix of the stage's bucket",
        reason="Objects are named by the jobs that write them; each role gets the prefixes that it reads or writes.",
    ),
    Entry(
        rule="IAM5",
        finding=rf"Resource::{_ARN.format(service='sagemaker')}[a-z-]+/{_OWN_NAME}-\*",
        place=".+",
        subject="all of one kind of SageMaker resource whose names begin with the stage's",
        reason="Executions make them and name them <prefix>-<run>; nobody else's begin so.",
    ),
    Entry(
        rule="IAM5",
        finding=rf"Resource::(<\w+Logs\w+\.Arn>|{_ARN.format(service='logs')}log-group:/aws/sagemaker/[A-Za-z]+(/{_OWN_NAME})?):\*",
        place=".+",
        subject="all streams of one log group",
        reason="A stream is named by the container that writes it, and streams are what these permissions are about.",
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
        app = context.app_construct
        for violation in self._pack.validate_scope(app).violations:
            for found in violation.violating_resources:
                assert found.construct_path is not None, "cdk-nag names constructs"
                for entry in ENTRIES:
                    if entry.covers(violation.rule_name, found.construct_path):
                        acknowledged = Acknowledgment(id=violation.rule_name, reason=entry.reason)
                        Validations.of(_construct_at(app, found.construct_path)).acknowledge(acknowledged)
        return self._pack.validate_scope(app)


def _construct_at(app: IConstruct, path: str) -> IConstruct:
    found = app
    for name in path.split("/"):
        found = found.node.find_child(name)
    return found

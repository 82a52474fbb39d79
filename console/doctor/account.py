"""The AWS account: SageMaker in the region, the CDK's bootstrap, what is left of Debugger."""

from collections.abc import Iterator
from typing import Final

import boto3
from botocore.exceptions import EndpointConnectionError

from console.deployment import BOOTSTRAP_STACK
from console.doctor.result import Result, Subject, ok, problem, warning
from console.stacks import describe_stack

# What the templates of aws-cdk-lib 2 assert in their rule CheckBootstrapVersion.
_BOOTSTRAP_VERSION: Final = 6


def identity(subject: Subject) -> Iterator[Result]:
    """Say who is asked, since a wrong profile is the commonest mistake."""
    found = subject.cloud.client("sts").get_caller_identity()
    yield ok("Credentials", f"{found['Arn']}, account {found['Account']}, region {subject.cloud.region()}")


def sagemaker(subject: Subject) -> Iterator[Result]:
    """SageMaker answers in this region."""
    region = subject.cloud.region()
    try:
        subject.cloud.client("sagemaker").list_endpoints(MaxResults=1)
    except EndpointConnectionError:
        regions = ", ".join(boto3.Session().get_available_regions("sagemaker"))
        yield problem("SageMaker", f"there is none in {region}, or no way to it", f"export AWS_REGION=... ({regions})")
        return
    yield ok("SageMaker", f"answers in {region}")


def bootstrap(subject: Subject) -> Iterator[Result]:
    """The CDK's own stack is there and new enough."""
    name = "CDK bootstrap"
    command = f"{subject.project.cdk_cli} bootstrap aws://{subject.cloud.account()}/{subject.cloud.region()}"
    state = describe_stack(subject.cloud, BOOTSTRAP_STACK)
    if state is None:
        found = "not yet; the first deployment does it, which takes an administrator's rights once"
        yield warning(name, found, command)
    elif not state.is_complete:
        yield problem(name, f"stack {BOOTSTRAP_STACK} is {state.status} {state.reason}".rstrip(), command)
    elif (version := int(state.outputs.get("BootstrapVersion", 0))) < _BOOTSTRAP_VERSION:
        yield problem(name, f"version {version}; {_BOOTSTRAP_VERSION} or newer is needed", command)
    else:
        yield ok(name, f"version {version}")


def debugger(subject: Subject) -> Iterator[Result]:
    """SageMaker Debugger has been closed to new customers since 2026-07-30, and no API says who is one."""
    if subject.settings["debugger"] == "managed":
        yield warning(
            "Debugger",
            "managed: only accounts that used SageMaker Debugger before 2026-07-30 still have it; it cannot be asked",
            'If the first training is refused: "debugger": "own" in cdk.json, then deploy',
        )
    else:
        yield ok("Debugger", "own: Pedigree's rules inside the job, for every account")

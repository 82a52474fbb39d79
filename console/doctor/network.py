"""The VPC that jobs and endpoint shall stand in, where the settings name one."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from console.doctor.result import Result, Subject, ok, problem, warning

_NAME = "Network"


def network(subject: Subject) -> Iterator[Result]:
    """The subnets exist, and the containers reach what they need from there."""
    wanted = subject.settings["network"]
    if not wanted["subnets"]:
        isolated = ", and containers reach nothing" if wanted["isolation"] else ""
        yield ok(_NAME, f"SageMaker's own{isolated}")
        return
    ec2 = subject.cloud.client("ec2")
    try:
        subnets = ec2.describe_subnets(SubnetIds=list(wanted["subnets"]))["Subnets"]
        groups = ec2.describe_security_groups(GroupIds=list(wanted["security_groups"]))["SecurityGroups"]
    except ClientError as error:
        if not error.response["Error"]["Code"].endswith((".NotFound", "NotFound", "Malformed")):
            raise
        yield problem(
            _NAME, error.response["Error"]["Message"], f"aws ec2 describe-subnets --region {subject.cloud.region()}"
        )
        return
    yield from _place(subnets, groups)
    yield from _ways_out(subject, ec2, subnets[0]["VpcId"])


def _place(subnets: list[dict[str, Any]], groups: list[dict[str, Any]]) -> Iterator[Result]:
    networks = {each["VpcId"] for each in (*subnets, *groups)}
    zones = {each["AvailabilityZone"] for each in subnets}
    if len(networks) > 1:
        found = f"subnets and security groups stand in different VPCs: {', '.join(sorted(networks))}"
        yield problem(_NAME, found, "Choose all of them from one VPC")
    elif len(zones) < 2:
        found = f"all subnets in {zones.pop()}: without capacity there, jobs wait and the endpoint has no second leg"
        yield warning(_NAME, found, "Add a subnet of another zone to network.subnets")
    else:
        yield ok(_NAME, f"{networks.pop()}, {len(subnets)} subnets in {', '.join(sorted(zones))}")


def _ways_out(subject: Subject, ec2: Any, vpc: str) -> Iterator[Result]:
    here = [{"Name": "vpc-id", "Values": [vpc]}]
    service = f"com.amazonaws.{subject.cloud.region()}.s3"
    endpoints = ec2.describe_vpc_endpoints(Filters=[*here, {"Name": "service-name", "Values": [service]}])
    gateways = ec2.describe_nat_gateways(Filters=[*here, {"Name": "state", "Values": ["available"]}])["NatGateways"]
    to_s3, to_internet = bool(endpoints["VpcEndpoints"]), bool(gateways)
    create = f"aws ec2 create-vpc-endpoint --vpc-id {vpc} --service-name {service} --route-table-ids rtb-..."
    if not to_s3 and not to_internet:
        yield problem("Way to S3", f"{vpc} has neither an S3 endpoint nor a NAT gateway: no job gets its data", create)
    elif not to_s3:
        yield warning("Way to S3", f"through the NAT gateway of {vpc}, paid by the gigabyte", create)
    else:
        yield ok("Way to S3", f"the S3 endpoint of {vpc}")
    isolated = subject.settings["network"]["isolation"]
    if subject.source.startswith("https://") and not isolated and not to_internet:
        found = f"{vpc} has no NAT gateway, and the photos are to come from {subject.source.split('?')[0]}"
        yield problem(
            "Way to the internet", found, "Put the photos into a bucket and use --data s3://BUCKET/photos.zip"
        )

"""The VPC of the settings."""

from typing import Any

import pytest

from console.doctor.network import network
from console.doctor.result import State, Subject
from tests.console.doctor.subjects import FakeAws, from_source, only


def describe_network(
    cloud: FakeAws, zones: tuple[str, ...], endpoints: int, gateways: int, group: str = "vpc-1"
) -> None:
    subnets = [{"SubnetId": f"subnet-{zone}", "VpcId": "vpc-1", "AvailabilityZone": zone} for zone in zones]
    stub = cloud.stub("ec2")
    stub.add_response("describe_subnets", {"Subnets": subnets})
    stub.add_response("describe_security_groups", {"SecurityGroups": [{"GroupId": "sg-1", "VpcId": group}]})
    stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": [{"VpcEndpointId": "vpce-1"}] * endpoints})
    stub.add_response("describe_nat_gateways", {"NatGateways": [{"NatGatewayId": "nat-1"}] * gateways})


@pytest.fixture
def vpc(settings: dict[str, Any]) -> None:
    settings["network"] |= {"subnets": ["subnet-0a1b2c3d"], "security_groups": ["sg-0a1b2c3d"]}


@pytest.mark.usefixtures("vpc")
def test_a_vpc_with_two_zones_and_an_s3_endpoint_is_fine(subject: Subject, cloud: FakeAws) -> None:
    describe_network(cloud, ("us-east-1a", "us-east-1b"), endpoints=1, gateways=0)
    assert [result.state for result in network(subject)] == [State.OK, State.OK]


@pytest.mark.usefixtures("vpc")
def test_a_vpc_without_a_way_to_s3_is_a_problem(subject: Subject, cloud: FakeAws) -> None:
    describe_network(cloud, ("us-east-1a",), endpoints=0, gateways=0)
    place, way = network(subject)
    assert place.state is State.WARNING
    assert way.state is State.PROBLEM
    assert "create-vpc-endpoint --vpc-id vpc-1 --service-name com.amazonaws.us-east-1.s3" in way.todo[0]


@pytest.mark.usefixtures("vpc")
def test_photos_from_the_internet_need_a_nat_gateway(subject: Subject, cloud: FakeAws) -> None:
    describe_network(cloud, ("us-east-1a", "us-east-1b"), endpoints=1, gateways=0)
    found = list(network(from_source(subject, "https://example.org/dogs.zip")))
    assert found[-1].name == "Way to the internet"
    assert found[-1].state is State.PROBLEM


@pytest.mark.usefixtures("vpc")
def test_a_security_group_of_another_vpc_is_told(subject: Subject, cloud: FakeAws) -> None:
    describe_network(cloud, ("us-east-1a", "us-east-1b"), endpoints=1, gateways=0, group="vpc-2")
    assert "different VPCs: vpc-1, vpc-2" in next(network(subject)).found


@pytest.mark.usefixtures("vpc")
def test_a_subnet_that_does_not_exist_is_told_in_aws_s_words(subject: Subject, cloud: FakeAws) -> None:
    message = "The subnet ID 'subnet-0a1b2c3d' does not exist"
    cloud.stub("ec2").add_client_error("describe_subnets", "InvalidSubnetID.NotFound", message)
    assert only(network(subject)).found == message


def test_without_a_vpc_there_is_nothing_to_ask(subject: Subject) -> None:
    assert only(network(subject)).state is State.OK

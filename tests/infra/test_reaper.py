"""The reaper: it tells before it deletes, and deletes nothing that anybody uses."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from infra.reaper import handler
from infra.reaper.decision import Action, Patience, decide
from infra.reaper.memory import TAG, Memory

NOW = datetime(2026, 3, 4, 23, 59, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
PATIENCE = Patience(idle=12 * HOUR, notice=HOUR)
ENDPOINT = "pedigree-dev"
ARN = f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{ENDPOINT}"
CONFIG = "pedigree-dev-abc"


class Clock(datetime):
    """What the function takes for the time: that of the tests, however long after their collection they run."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # it is no Clock
        """Return NOW."""
        return NOW


class Services:
    """Stubbed clients, one per service."""

    def __init__(self) -> None:
        self.clients: dict[str, Any] = {}
        self.stubs: dict[str, Stubber] = {}

    def client(self, service: str) -> Any:
        if service not in self.clients:
            make: Any = boto3.client
            self.clients[service] = make(
                service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
            )
            self.stubs[service] = Stubber(self.clients[service])
            self.stubs[service].activate()
        return self.clients[service]

    def expect(self, service: str, operation: str, response: dict[str, Any], request: dict[str, Any]) -> None:
        """Have the next call of a service be this one."""
        self.client(service)
        self.stubs[service].add_response(operation, response, request)

    def check(self) -> None:
        """Make sure that every expected call was made."""
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    services = Services()
    for name, value in {
        "ENDPOINT_NAME": ENDPOINT,
        "STATE_MACHINE": "arn:aws:states:us-east-1:123456789012:stateMachine:machine",
        "TOPIC": "arn:aws:sns:us-east-1:123456789012:notices",
        "IDLE_HOURS": "12",
        "NOTICE_HOURS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(handler, "boto3", services)
    monkeypatch.setattr(handler, "datetime", Clock)
    yield services
    services.check()


def found(services: Services, status: str = "InService") -> None:
    """Have the endpoint be there."""
    described = {
        "EndpointName": ENDPOINT,
        "EndpointArn": ARN,
        "EndpointConfigName": CONFIG,
        "EndpointStatus": status,
        "CreationTime": NOW,
        "LastModifiedTime": NOW,
    }
    services.expect("sagemaker", "describe_endpoint", described, {"EndpointName": ENDPOINT})


def quiet(services: Services, memory: Memory | None) -> None:
    """Have no execution run, and the endpoint's tag say what is remembered."""
    services.expect("stepfunctions", "list_executions", {"executions": []}, ANY_EXECUTIONS)
    tags = [{"Key": "pedigree", "Value": "dev"}]
    if memory is not None:
        tags.append({"Key": TAG, "Value": str(memory)})
    services.expect("sagemaker", "list_tags", {"Tags": tags}, {"ResourceArn": ARN})


ANY_EXECUTIONS = {"stateMachineArn": ANY, "statusFilter": "RUNNING", "maxResults": 1}


def invocations(services: Services, *points: tuple[datetime, float]) -> None:
    """Have CloudWatch know of invocations."""
    services.expect(
        "cloudwatch",
        "get_metric_statistics",
        {"Datapoints": [{"Timestamp": moment, "Sum": total} for moment, total in points]},
        {
            "Namespace": "AWS/SageMaker",
            "MetricName": "Invocations",
            "Dimensions": [
                {"Name": "EndpointName", "Value": ENDPOINT},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            "StartTime": ANY,
            "EndTime": ANY,
            "Period": 300,
            "Statistics": ["Sum"],
        },
    )


def remembered(services: Services) -> dict[str, str]:
    """Expect the tag to be written; returns where its value will stand."""
    kept: dict[str, str] = {}

    class Kept:
        def __eq__(self, other: object) -> bool:
            assert isinstance(other, list)
            kept.update({tag["Key"]: tag["Value"] for tag in other})
            return True

        __hash__ = None  # type: ignore[assignment]

    services.expect("sagemaker", "add_tags", {"Tags": []}, {"ResourceArn": ARN, "Tags": Kept()})
    return kept


@pytest.mark.parametrize(
    ("seen", "last", "told", "action"),
    [
        (1, None, None, Action.NOTHING),
        (11, None, None, Action.TELL),
        (40, 2, None, Action.NOTHING),
        (40, 11, None, Action.TELL),
        (12, None, 0.5, Action.NOTHING),
        (12, None, 1, Action.DELETE),
        (40, None, 30, Action.DELETE),
        # Somebody came after the notice: the full time again, and another notice.
        (40, 2, 3, Action.NOTHING),
        (40, 11, 20, Action.TELL),
        (40, 12, 1, Action.DELETE),
    ],
)
def test_what_is_done_is_told_by_the_clock(seen: float, last: float | None, told: float | None, action: Action) -> None:
    memory = Memory(CONFIG, NOW - seen * HOUR, None if told is None else NOW - told * HOUR)
    assert decide(memory, None if last is None else NOW - last * HOUR, NOW, PATIENCE) is action


def test_a_notice_longer_than_the_idleness_still_comes_that_long_before() -> None:
    patience = Patience(idle=HOUR, notice=5 * HOUR)
    assert decide(Memory(CONFIG, NOW, None), None, NOW, patience) is Action.TELL
    assert decide(Memory(CONFIG, NOW - 4 * HOUR, NOW - 4 * HOUR), None, NOW, patience) is Action.NOTHING
    assert decide(Memory(CONFIG, NOW - 5 * HOUR, NOW - 5 * HOUR), None, NOW, patience) is Action.DELETE


def test_what_is_remembered_fits_a_tag_and_comes_back() -> None:
    memory = Memory("c" * 63, NOW, NOW + HOUR)
    assert len(str(memory)) <= 256
    assert Memory.parse(str(memory)) == memory
    assert Memory.parse(str(Memory("c", NOW))) == Memory("c", NOW)
    assert Memory.parse("something else") is None


def test_no_endpoint_is_no_trouble(aws: Services) -> None:
    aws.client("sagemaker")
    aws.stubs["sagemaker"].add_client_error("describe_endpoint", "ValidationException", 'Could not find endpoint "x".')
    assert handler.handle({}, None)["state"] == "is not there"


@pytest.mark.parametrize("status", ["Creating", "Updating", "RollingBack", "Failed", "Deleting"])
def test_an_endpoint_that_is_not_in_service_is_left_alone(aws: Services, status: str) -> None:
    found(aws, status)
    assert status in handler.handle({}, None)["state"]


def test_an_endpoint_is_left_alone_while_an_execution_runs(aws: Services) -> None:
    found(aws)
    running = {
        "executionArn": "arn:aws:states:us-east-1:123456789012:execution:machine:run",
        "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:machine",
        "name": "run",
        "status": "RUNNING",
        "startDate": NOW,
    }
    aws.expect("stepfunctions", "list_executions", {"executions": [running]}, ANY_EXECUTIONS)
    assert "execution" in handler.handle({}, None)["state"]


def test_the_clock_starts_when_a_configuration_is_first_seen(aws: Services) -> None:
    found(aws)
    quiet(aws, Memory("pedigree-dev-former", NOW - 100 * HOUR, NOW - 99 * HOUR))
    kept = remembered(aws)
    handler.handle({}, None)
    memory = Memory.parse(kept[TAG])
    assert memory is not None
    assert memory.config == CONFIG
    assert memory.seen == NOW
    assert memory.told is None


def test_one_invocation_keeps_it(aws: Services) -> None:
    found(aws)
    quiet(aws, Memory(CONFIG, NOW - 100 * HOUR, NOW - 50 * HOUR))
    invocations(aws, (NOW - 5 * HOUR, 0.0), (NOW - 10 * HOUR, 1.0))
    assert "not idle for long" in handler.handle({}, None)["state"]


def test_a_notice_says_when_it_ends_and_how_to_keep_it(aws: Services) -> None:
    found(aws)
    quiet(aws, Memory(CONFIG, NOW - 11.5 * HOUR))
    invocations(aws)
    told: list[str] = []
    aws.client("sns").meta.events.register(
        "before-parameter-build.sns.Publish", lambda params, **_: told.append(params["Message"])
    )
    aws.expect("sns", "publish", {"MessageId": "1"}, {"TopicArn": ANY, "Subject": ANY, "Message": ANY})
    kept = remembered(aws)
    handler.handle({}, None)
    memory = Memory.parse(kept[TAG])
    assert memory is not None
    assert (memory.seen, memory.told) == (NOW - 11.5 * HOUR, NOW)
    (message,) = told
    # A whole hour from now, not half of one.
    assert f"{NOW + HOUR:%Y-%m-%d %H:%M} UTC" in message
    assert "reaper.idle_hours" in message


def test_an_endpoint_that_stays_idle_is_deleted_with_its_scaling_and_can_be_had_back(aws: Services) -> None:
    found(aws)
    quiet(aws, Memory(CONFIG, NOW - 13 * HOUR, NOW - HOUR))
    invocations(aws)
    resource = f"endpoint/{ENDPOINT}/variant/AllTraffic"
    dimension = "sagemaker:variant:DesiredInstanceCount"
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": resource,
        "ScalableDimension": dimension,
        "MinCapacity": 1,
        "MaxCapacity": 2,
        "RoleARN": "arn:aws:iam::123456789012:role/aws-service-role/x",
        "CreationTime": NOW,
    }
    aws.expect(
        "application-autoscaling",
        "describe_scalable_targets",
        {"ScalableTargets": [target]},
        {"ServiceNamespace": "sagemaker", "ResourceIds": [resource]},
    )
    aws.expect(
        "application-autoscaling",
        "deregister_scalable_target",
        {},
        {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": dimension},
    )
    aws.expect("sagemaker", "delete_endpoint", {}, {"EndpointName": ENDPOINT})
    told: list[str] = []
    aws.client("sns").meta.events.register(
        "before-parameter-build.sns.Publish", lambda params, **_: told.append(params["Message"])
    )
    aws.expect("sns", "publish", {"MessageId": "1"}, {"TopicArn": ANY, "Subject": ANY, "Message": ANY})
    assert "deleted" in handler.handle({}, None)["state"]
    assert f"create-endpoint --endpoint-name {ENDPOINT} --endpoint-config-name {CONFIG}" in told[0]


@pytest.mark.parametrize(("hours", "period"), [(1, 300), (120, 300), (121, 600), (720, 1800)])
def test_a_month_of_invocations_fits_one_answer(aws: Services, hours: int, period: int) -> None:
    aws.expect(
        "cloudwatch",
        "get_metric_statistics",
        {"Datapoints": []},
        {
            "Namespace": ANY,
            "MetricName": ANY,
            "Dimensions": ANY,
            "StartTime": ANY,
            "EndTime": ANY,
            "Period": period,
            "Statistics": ANY,
        },
    )
    assert handler.last_invocation(ENDPOINT, NOW, hours * HOUR) is None
    assert hours * 3600 / period <= 1440

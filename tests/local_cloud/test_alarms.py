"""CloudWatch in a running local cloud: an endpoint's metrics, alarms on them, and a rollout that they turn back."""

import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.conftest import RunningCloud, allow

ALARM = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:shaky-errors"
# Its models answer with what their environment says.
SERVE = """#!{python}
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def do_GET(self):
        self.answer(200)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(int(os.environ["STATUS"]))
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def until(look: Callable[[], Any], seconds: float = 20) -> Any:
    """Return what ``look`` finds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def put_alarm(cloud: RunningCloud, name: str, **members: Any) -> None:
    """Put an alarm on a metric of this test alone."""
    defaults = {
        "AlarmName": name,
        "Namespace": "Tests",
        "MetricName": name,
        "Dimensions": [{"Name": "Of", "Value": "this"}],
        "Statistic": "Average",
        "Period": 10,
        "EvaluationPeriods": 1,
        "Threshold": 0.05,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    request = {key: value for key, value in {**defaults, **members}.items() if value is not None}
    cloud.client("cloudwatch").put_metric_alarm(**request)


def put_value(cloud: RunningCloud, name: str, value: float, of: str = "this", ago: float = 0) -> None:
    dimensions = [{"Name": "Of", "Value": of}]
    moment = datetime.now(UTC) - timedelta(seconds=ago)
    datum = {"MetricName": name, "Value": value, "Dimensions": dimensions, "Timestamp": moment}
    cloud.client("cloudwatch").put_metric_data(Namespace="Tests", MetricData=[datum])


def state_of(cloud: RunningCloud, name: str) -> str:
    state: str = cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]
    return state


def test_an_alarm_starts_and_ends_by_itself(cloud: RunningCloud) -> None:
    put_alarm(cloud, "comes-and-goes", Period=5)
    until(lambda: state_of(cloud, "comes-and-goes") == "OK")
    put_value(cloud, "comes-and-goes", 1)
    until(lambda: state_of(cloud, "comes-and-goes") == "ALARM")
    # Nothing comes in any more, which is not breaching.
    until(lambda: state_of(cloud, "comes-and-goes") == "OK")


def test_an_alarm_sees_its_own_dimensions_only(cloud: RunningCloud) -> None:
    put_alarm(cloud, "own", TreatMissingData="missing")
    put_value(cloud, "own", 1, of="another")
    time.sleep(1.5)
    assert state_of(cloud, "own") == "INSUFFICIENT_DATA"


@pytest.mark.parametrize(
    ("name", "values", "members", "state"),
    [
        ("two-of-two", [1, 1], {"EvaluationPeriods": 2}, "ALARM"),
        ("one-of-two", [1, 0], {"EvaluationPeriods": 2}, "OK"),
        ("one-of-two-is-enough", [1, 0], {"EvaluationPeriods": 2, "DatapointsToAlarm": 1}, "ALARM"),
        ("nothing-is-breaching", [], {"TreatMissingData": "breaching"}, "ALARM"),
        ("nothing-is-ignored", [], {"TreatMissingData": "ignore"}, "INSUFFICIENT_DATA"),
        ("slow", [10, 10], {"Statistic": None, "ExtendedStatistic": "p99", "Threshold": 9}, "ALARM"),
    ],
)
def test_periods_and_missing_data_count_as_the_alarm_says(
    cloud: RunningCloud, name: str, values: list[float], members: dict[str, Any], state: str
) -> None:
    for number, value in enumerate(values):
        put_value(cloud, name, value, ago=60 * number + 3)
    put_alarm(cloud, name, **{"Period": 60, **members})
    assert state_of(cloud, name) == state


class Shaky:
    """An endpoint of two instances whose models do what they are told."""

    def __init__(self, cloud: RunningCloud, *statements: dict[str, Any]) -> None:
        (cloud.image / "serve").write_text(SERVE.replace("{python}", sys.executable))
        self.sagemaker = cloud.client("sagemaker")
        self.runtime = cloud.client("sagemaker-runtime")
        self._cloud = cloud
        self.role = cloud.role("shaky", "sagemaker.amazonaws.com", *statements)
        self.configure("good", 200)
        self.configure("bad", 500)
        self.sagemaker.create_endpoint(EndpointName="shaky", EndpointConfigName="good")
        until(lambda: self.found()["EndpointStatus"] == "InService")

    def configure(self, name: str, status: int) -> None:
        container = {"Image": "fake:1", "Environment": {"STATUS": str(status)}}
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=self.role)
        variant = {"VariantName": "v", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 2}
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])

    def found(self) -> dict[str, Any]:
        described: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName="shaky")
        return described

    def canary(self) -> dict[str, Any]:
        """Update to the bad model, and return what became of it."""
        routing = {
            "Type": "CANARY",
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            "WaitIntervalInSeconds": 60,
        }
        self.sagemaker.update_endpoint(
            EndpointName="shaky",
            EndpointConfigName="bad",
            DeploymentConfig={
                "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing},
                "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "shaky-errors"}]},
            },
        )
        until(lambda: self.found()["EndpointStatus"] == "InService", 40)
        return self.found()


@pytest.fixture
def asked_all_the_time() -> Any:
    """A function that keeps asking an endpoint until the test ends; its list holds the status of each answer."""
    done = threading.Event()
    threads: list[threading.Thread] = []

    def start(shaky: Shaky) -> list[int]:
        statuses: list[int] = []

        def run() -> None:
            while not done.is_set():
                try:
                    shaky.runtime.invoke_endpoint(EndpointName="shaky", Body=b"x", ContentType="a/b")
                    statuses.append(200)
                except ClientError as error:
                    statuses.append(error.response.get("OriginalStatusCode", 0))  # type: ignore[arg-type]
                time.sleep(0.02)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return statuses

    yield start
    done.set()
    for thread in threads:
        thread.join()


def errors_alarm(cloud: RunningCloud) -> None:
    dimensions = [{"Name": "EndpointName", "Value": "shaky"}, {"Name": "VariantName", "Value": "v"}]
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "Invocation5XXErrors", "Dimensions": dimensions, "Period": 60}
    put_alarm(cloud, "shaky-errors", **metric)


@pytest.fixture
def shaky_cloud(own_cloud: RunningCloud, tmp_path: Path) -> RunningCloud:
    image = tmp_path / "image"
    image.mkdir()
    for verb in ("train", "serve"):
        (image / verb).write_text((own_cloud.image / verb).read_text())
        (image / verb).chmod(0o755)
    own_cloud.image = image
    return own_cloud.start()


def test_metrics_start_an_alarm_that_turns_a_canary_back(shaky_cloud: RunningCloud, asked_all_the_time: Any) -> None:
    shaky = Shaky(shaky_cloud, allow("cloudwatch:DescribeAlarms", ALARM))
    errors_alarm(shaky_cloud)
    statuses = asked_all_the_time(shaky)
    until(lambda: len(statuses) > 10)
    found = shaky.canary()
    assert found["EndpointConfigName"] == "good"
    assert "shaky-errors" in found["FailureReason"]
    before = len(statuses) + 1
    until(lambda: len(statuses) > before + 30)
    assert set(statuses[:10]) == {200}
    assert set(statuses[before:]) == {200}
    assert set(statuses) == {200, 500}
    asked, now = len(statuses), datetime.now(UTC)

    def told() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = shaky_cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="ModelLatency",
            Dimensions=[{"Name": "EndpointName", "Value": "shaky"}, {"Name": "VariantName", "Value": "v"}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=86_400,
            Statistics=["Average", "SampleCount"],
        )["Datapoints"]
        return found

    until(lambda: sum(each["SampleCount"] for each in told()) >= asked)
    assert all(100 < each["Average"] < 1_000_000 for each in told())  # microseconds


def test_without_the_permission_to_look_at_alarms_a_rollout_is_turned_back(shaky_cloud: RunningCloud) -> None:
    shaky = Shaky(shaky_cloud, allow("s3:GetObject"))
    errors_alarm(shaky_cloud)
    found = shaky.canary()
    assert found["EndpointConfigName"] == "good"
    assert "not authorized to perform: cloudwatch:DescribeAlarms" in found["FailureReason"]

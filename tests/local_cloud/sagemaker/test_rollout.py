"""An endpoint's update while requests come in all the time."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.sagemaker.errors import JobError, ServiceError
from local_cloud.sagemaker.rollout import Plan, Rollout, plan_of
from tests.local_cloud.sagemaker.stand_in import Cloud, MemoryS3, Server, new_cloud, wait_for, write_image
from tests.local_cloud.sagemaker.test_endpoints import ask, configure, serve, server_pids


class Asking:
    """What clients got that never stopped asking."""

    def __init__(self, cloud: Cloud) -> None:
        self.answers: list[str] = []
        self.errors: list[ClientError] = []
        self._cloud = cloud
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                self.answers.append(ask(self._cloud).split()[0])
            except ClientError as error:
                self.errors.append(error)
            time.sleep(0.002)

    def __enter__(self) -> "Asking":
        for thread in self._threads:
            thread.start()
        wait_for(lambda: len(self.answers) > 5)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    @contextmanager
    def since(self) -> Iterator[list[str]]:
        """Yield a list that holds, after the block, what was answered during it."""
        seen: list[str] = []
        begin = len(self.answers)
        yield seen
        seen += self.answers[begin:]

    def next(self, count: int) -> list[str]:
        """Return the next answers, without those to requests that are under way now."""
        begin = len(self.answers) + len(self._threads)
        wait_for(lambda: len(self.answers) >= begin + count)
        return self.answers[begin : begin + count]


def blue_green(kind: str = "ALL_AT_ONCE", wait: int = 0, alarms: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """Return a DeploymentConfig."""
    routing: dict[str, Any] = {"Type": kind, "WaitIntervalInSeconds": wait}
    if kind != "ALL_AT_ONCE":
        size = "CanarySize" if kind == "CANARY" else "LinearStepSize"
        routing[size] = {"Type": "CAPACITY_PERCENT", "Value": 50}
    config: dict[str, Any] = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **more}}
    if alarms:
        config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in alarms]}
    return config


def update(cloud: Cloud, config: str, deployment: dict[str, Any]) -> None:
    cloud.sagemaker.update_endpoint(EndpointName="dogs", EndpointConfigName=config, DeploymentConfig=deployment)


def serve_two(cloud: Cloud) -> None:
    """Serve ``one`` on what is to be two instances."""
    configure(cloud, "one", "one", InitialInstanceCount=2)
    cloud.sagemaker.create_endpoint(EndpointName="dogs", EndpointConfigName="one")
    cloud.endpoint("dogs")


@pytest.fixture
def impatient(tmp_path: Path, s3: MemoryS3) -> Iterator[Cloud]:
    write_image(tmp_path / "bin")
    # Two pings, and many times what a server that is well needs.
    made = new_cloud(tmp_path, s3, health_check_seconds=4.0)
    with Server(made):
        yield made


def test_no_request_fails_while_bad_and_good_models_come(impatient: Cloud) -> None:
    serve(impatient)
    for name in ("broken", "mute", "two"):
        configure(impatient, name, name)
    with Asking(impatient) as asking:
        for name in ("broken", "mute"):
            update(impatient, name, blue_green())
            found = impatient.endpoint("dogs")
            assert "ping health check" in found["FailureReason"]
            assert found["EndpointConfigName"] == "one"
        update(impatient, "two", blue_green())
        assert "FailureReason" not in impatient.endpoint("dogs")
        assert set(asking.next(30)) == {"two"}
    assert set(asking.answers) == {"one", "two"}
    assert asking.errors == []
    assert impatient.sagemaker.describe_endpoint(EndpointName="dogs")["EndpointConfigName"] == "two"
    wait_for(lambda: len(server_pids(impatient)) == 1)


def test_a_canary_that_fails_is_put_back_by_its_alarm(cloud: Cloud) -> None:
    serve_two(cloud)
    configure(cloud, "bad", "failing", InitialInstanceCount=2)
    cloud.watch.on_errors = "too-many-errors"
    with Asking(cloud) as asking:
        with asking.since() as answers:
            update(cloud, "bad", blue_green("CANARY", wait=60, alarms=["too-many-errors"]))
            found = cloud.endpoint("dogs")
        failed = len(asking.errors)
        after = asking.next(30)
    assert "ALARM state during the deployment: too-many-errors" in found["FailureReason"]
    assert found["EndpointConfigName"] == "one"
    assert "PendingDeploymentSummary" not in found
    # The canary's share failed, the rest never did; afterwards nothing fails.
    assert 0 < failed == len(asking.errors)
    assert all("Received server error (500)" in str(error) for error in asking.errors)
    assert {*answers, *after} == {"one"}
    assert len(server_pids(cloud)) == 1


def test_a_canary_takes_its_share_then_all(cloud: Cloud) -> None:
    serve_two(cloud)
    configure(cloud, "two", "two", InitialInstanceCount=2)
    with Asking(cloud) as asking:
        update(cloud, "two", blue_green("CANARY", wait=1, TerminationWaitInSeconds=1))

        def baking() -> bool:
            pending = cloud.sagemaker.describe_endpoint(EndpointName="dogs").get("PendingDeploymentSummary", {})
            return "ProductionVariants" in pending

        wait_for(baking)
        canary = asking.next(60)
        cloud.endpoint("dogs")
        after = asking.next(30)
    share = canary.count("two") / len(canary)
    assert 0.2 < share < 0.8
    assert set(after) == {"two"}
    assert asking.errors == []


def test_the_old_server_stays_for_the_termination_wait(cloud: Cloud) -> None:
    serve(cloud)
    configure(cloud, "two", "two")
    update(cloud, "two", blue_green(TerminationWaitInSeconds=600))
    wait_for(lambda: ask(cloud).startswith("two"))
    assert len(server_pids(cloud)) == 2
    assert cloud.sagemaker.describe_endpoint(EndpointName="dogs")["EndpointStatus"] == "Updating"


def test_the_old_server_ends_after_the_termination_wait(cloud: Cloud) -> None:
    serve(cloud)
    configure(cloud, "two", "two")
    begun = time.monotonic()
    update(cloud, "two", blue_green(TerminationWaitInSeconds=1))
    cloud.endpoint("dogs")
    assert time.monotonic() - begun >= 1
    assert len(server_pids(cloud)) == 1


def test_an_endpoint_that_is_being_updated_can_neither_be_updated_nor_deleted(cloud: Cloud) -> None:
    serve(cloud)
    configure(cloud, "two", "two")
    cloud.s3.open.clear()
    update(cloud, "two", blue_green())
    for refused in (
        lambda: update(cloud, "one", blue_green()),
        lambda: cloud.sagemaker.delete_endpoint(EndpointName="dogs"),
    ):
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            refused()
    cloud.s3.open.set()
    cloud.endpoint("dogs")
    cloud.sagemaker.delete_endpoint(EndpointName="dogs")
    assert server_pids(cloud) == []


def test_of_many_updates_at_once_one_is_taken(cloud: Cloud) -> None:
    serve(cloud)
    configure(cloud, "two", "two")
    taken: list[str] = []

    def attempt(operation: str) -> None:
        try:
            cloud.service.handle(operation, {"EndpointName": "dogs", "EndpointConfigName": "two"})
            taken.append(operation)
        except ServiceError:
            pass

    cloud.s3.open.clear()  # the first update is not over before the last is asked for
    threads = [threading.Thread(target=attempt, args=[o]) for o in ("UpdateEndpoint", "CreateEndpoint") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cloud.s3.open.set()
    assert taken == ["UpdateEndpoint"]
    cloud.endpoint("dogs")


def test_a_service_that_ends_during_a_rollout_comes_back_with_the_old_model(tmp_path: Path, s3: MemoryS3) -> None:
    write_image(tmp_path / "bin")
    cloud = new_cloud(tmp_path, s3)
    with Server(cloud):
        serve(cloud)
        configure(cloud, "two", "two")
        update(cloud, "two", blue_green(wait=600))
        wait_for(lambda: ask(cloud).startswith("two"))
    assert server_pids(cloud) == []
    again = new_cloud(tmp_path, s3)
    with Server(again):
        found = again.endpoint("dogs")
        assert (found["EndpointConfigName"], "cut off" in found["FailureReason"]) == ("one", True)
        assert ask(again).startswith("one")


def test_instances_are_those_configured_unless_they_are_to_be_kept(cloud: Cloud) -> None:
    serve_two(cloud)
    configure(cloud, "two", "two", InitialInstanceCount=1)
    resize = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 5}]
    cloud.sagemaker.update_endpoint_weights_and_capacities(EndpointName="dogs", DesiredWeightsAndCapacities=resize)
    for retain, count in ((True, 5), (False, 1)):
        cloud.sagemaker.update_endpoint(
            EndpointName="dogs", EndpointConfigName="two", RetainAllVariantProperties=retain
        )
        assert cloud.endpoint("dogs")["ProductionVariants"][0]["CurrentInstanceCount"] == count


@pytest.mark.parametrize(
    ("routing", "shares"),
    [
        ({"Type": "ALL_AT_ONCE"}, (1.0,)),
        ({"Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10}}, (0.25, 1.0)),
        ({"Type": "CANARY", "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 2}}, (0.5, 1.0)),
        ({"Type": "LINEAR", "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 25}}, (0.25, 0.5, 0.75, 1.0)),
    ],
)
def test_traffic_is_shifted_in_steps_of_whole_instances(routing: dict[str, Any], shares: tuple[float, ...]) -> None:
    config = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"WaitIntervalInSeconds": 0, **routing}}}
    assert plan_of(config, 4).shares == shares


@pytest.mark.parametrize(
    ("routing", "words"),
    [
        ({"Type": "CANARY"}, "CanarySize is required"),
        ({"Type": "CANARY", "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 3}}, "1 to 50 per cent"),
        ({"Type": "ALL_AT_ONCE", "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1}}, "only allowed for"),
    ],
)
def test_steps_that_sagemaker_does_not_take_are_refused(routing: dict[str, Any], words: str) -> None:
    config = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"WaitIntervalInSeconds": 0, **routing}}}
    with pytest.raises(ServiceError, match=words):
        plan_of(config, 4)


def test_alarms_are_looked_at_however_short_the_time() -> None:
    rollout = Rollout(Plan(alarms=("slow",)), lambda names: list(names), lambda: False)
    with pytest.raises(JobError, match="ALARM state during the deployment: slow"):
        rollout.run(lambda _: None)


def test_a_rollout_that_takes_too_long_is_turned_back() -> None:
    rollout = Rollout(Plan(wait_seconds=5, timeout_seconds=0.1), lambda _: [], lambda: False)
    with pytest.raises(JobError, match="MaximumExecutionTimeoutInSeconds"):
        rollout.run(lambda _: None)

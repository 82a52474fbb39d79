"""How traffic moves from an endpoint's old servers to new ones, and what turns it back."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local_cloud.sagemaker.errors import JobError, validation

_LOOK_SECONDS: Final = 0.25
# SageMaker's own limits on the first step, in per cent of the capacity.
_LARGEST_STEP: Final = 50
_SMALLEST_LINEAR_STEP: Final = 10
_SIZES: Final = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}


@dataclass(frozen=True)
class Plan:
    """The steps of one update.

    Attributes:
        shares: The new servers' share of the traffic after each step; the last one is 1.
        wait_seconds: How long the alarms are watched after each step.
        termination_wait_seconds: How long the old servers stay after that.
        timeout_seconds: How long all of it may take, the start of the new servers included.
        alarms: Names of the CloudWatch alarms that turn it back.
    """

    shares: tuple[float, ...] = (1.0,)
    wait_seconds: float = 0.0
    termination_wait_seconds: float = 0.0
    timeout_seconds: float = math.inf
    alarms: tuple[str, ...] = ()


def plan_of(config: Mapping[str, Any] | None, instances: int) -> Plan:
    """Return the steps that a DeploymentConfig asks for, of ``instances`` new instances.

    Raises:
        ServiceError: it asks for what SageMaker refuses, or what only AWS offers.
    """
    if not config:
        return Plan()
    if "RollingUpdatePolicy" in config:
        raise validation("RollingUpdatePolicy is offered on AWS only: use BlueGreenUpdatePolicy.")
    alarms = tuple(alarm["AlarmName"] for alarm in config.get("AutoRollbackConfiguration", {}).get("Alarms", []))
    policy = config.get("BlueGreenUpdatePolicy")
    if policy is None:
        return Plan(alarms=alarms)
    routing = policy["TrafficRoutingConfiguration"]
    return Plan(
        shares=_shares(routing, instances),
        wait_seconds=routing["WaitIntervalInSeconds"],
        termination_wait_seconds=policy.get("TerminationWaitInSeconds", 0),
        timeout_seconds=policy.get("MaximumExecutionTimeoutInSeconds", math.inf),
        alarms=alarms,
    )


def _shares(routing: Mapping[str, Any], instances: int) -> tuple[float, ...]:
    kind = routing["Type"]
    for other, member in _SIZES.items():
        if member in routing and other != kind:
            raise validation(f"{member} is only allowed for traffic routing of type {other}, not {kind}.")
    if kind == "ALL_AT_ONCE":
        return (1.0,)
    size = routing.get(_SIZES[kind])
    if size is None:
        raise validation(f"{_SIZES[kind]} is required for traffic routing of type {kind}.")
    step = _instances_of(size, instances)
    percent = 100 * step / instances
    if percent > _LARGEST_STEP or (kind == "LINEAR" and percent < _SMALLEST_LINEAR_STEP):
        raise validation(
            f"{_SIZES[kind]} must be {_SMALLEST_LINEAR_STEP if kind == 'LINEAR' else 1} to {_LARGEST_STEP} per cent of "
            f"the variant's capacity; {step} of {instances} instances is {percent:.0f} per cent."
        )
    if kind == "CANARY":
        return (step / instances, 1.0)
    return tuple(min(1.0, number * step / instances) for number in range(1, math.ceil(instances / step) + 1))


def _instances_of(size: Mapping[str, Any], instances: int) -> int:
    """Return how many whole instances a CapacitySize is."""
    value: int = size["Value"]
    return value if size["Type"] == "INSTANCE_COUNT" else math.ceil(instances * value / 100)


class Rollout:
    """Carries one plan out."""

    def __init__(self, plan: Plan, firing: Callable[[Sequence[str]], list[str]], ending: Callable[[], bool]) -> None:
        """Begin now: the time allowed counts from here.

        Args:
            plan: The steps.
            firing: Names of alarms -> those of them that are in state ALARM.
            ending: Whether the service is being stopped.
        """
        self.plan = plan
        self._firing = firing
        self._ending = ending
        self._deadline = time.monotonic() + plan.timeout_seconds

    def run(self, shift: Callable[[float], None]) -> None:
        """Shift the traffic step by step: ``shift`` gives the new servers their share.

        Raises:
            JobError: it must be turned back; the text says why.
        """
        for share in self.plan.shares:
            shift(share)
            self._bake()
        self.wait(self.plan.termination_wait_seconds)

    def wait(self, seconds: float) -> None:
        """Wait, unless the service is being stopped or the time allowed is over.

        Raises:
            JobError: one of these.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, _LOOK_SECONDS))

    def check(self) -> None:
        """Make sure that the update may go on.

        Raises:
            JobError: it may not.
        """
        if self._ending():
            raise JobError("The service is being stopped.")
        if time.monotonic() > self._deadline:
            raise JobError(
                "The deployment did not finish within MaximumExecutionTimeoutInSeconds "
                f"({self.plan.timeout_seconds:.0f} seconds)."
            )

    def _bake(self) -> None:
        """Watch the alarms; they are looked at once however short the time."""
        end = time.monotonic() + self.plan.wait_seconds
        while self.plan.alarms:
            firing = self._firing(self.plan.alarms)
            if firing:
                names = ", ".join(firing)
                raise JobError(
                    f"The following CloudWatch alarm(s) went into ALARM state during the deployment: {names}."
                )
            if time.monotonic() >= end:
                return
            self.wait(min(_LOOK_SECONDS, end - time.monotonic()))
        self.wait(self.plan.wait_seconds)

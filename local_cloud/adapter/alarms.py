"""CloudWatch: metrics of our services, alarms judged as AWS judges them, and who may look at them."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from local_cloud.adapter.identities import (
    SAGEMAKER_PRINCIPAL,
    AccessDeniedError,
    AssumeRoleError,
    assume_role,
    require_permission,
)
from local_cloud.sagemaker.errors import ServiceError, validation
from local_cloud.sagemaker.invocation_metrics import Datum
from local_cloud.settings import ACCOUNT, REGION

_COMPARED: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}

# A role's trust policy is asked again after this time.
_SESSION_SECONDS: Final = 60.0


def install() -> None:
    """Judge alarms by their dimensions, period by period, with missing data treated as each alarm says.

    MiniStack mixes all dimensions of a metric, and lets an alarm stay as it is where no data come in any more.
    """
    from ministack.services import cloudwatch

    plain = cloudwatch._evaluate_alarm
    # Whoever puts a metric judges as well as the clock does: a change of state is told once.
    judging = threading.Lock()

    def evaluate(alarm: dict[str, Any]) -> None:
        if alarm.get("ComparisonOperator") not in _COMPARED:
            plain(alarm)
            return
        with judging:
            old = alarm["StateValue"]
            new, reason = _judge(cloudwatch, alarm)
            if old == new:
                return
            alarm.update(StateValue=new, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
        cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
        cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)
        cloudwatch._evaluate_parent_alarms(alarm)

    cloudwatch._evaluate_alarm = evaluate


def _judge(cloudwatch: Any, alarm: Mapping[str, Any]) -> tuple[str, str]:
    """Return an alarm's state and the reason for it."""
    values = _values(cloudwatch, alarm)
    threshold, breaks = alarm.get("Threshold", 0.0), _COMPARED[alarm["ComparisonOperator"]]
    needed = alarm.get("DatapointsToAlarm") or len(values)
    known = [value for value in values if value is not None]
    missing = alarm.get("TreatMissingData", "missing")
    if not known and missing == "ignore":
        return alarm["StateValue"], alarm.get("StateReason", "")
    if not known and missing == "missing":
        return "INSUFFICIENT_DATA", f"Insufficient Data: {len(values)} datapoints were unknown."
    breaching = sum(breaks(value, threshold) for value in known)
    if missing == "breaching" or (missing == "missing" and breaching == len(known)):
        breaching += len(values) - len(known)
    told = ", ".join("missing" if value is None else f"{value:g}" for value in values)
    verb = "were" if breaching >= needed else "were not"
    reason = (
        f"Threshold Crossed: {needed} out of the last {len(values)} datapoints [{told}] {verb} "
        f"{alarm['ComparisonOperator']} ({threshold})"
    )
    return ("ALARM" if breaching >= needed else "OK"), reason


def _values(cloudwatch: Any, alarm: Mapping[str, Any]) -> list[float | None]:
    """Return the statistic of each period that counts, the newest first; None where a period has no data.

    The periods end now, not at full minutes: an alarm on a laptop is to be seen at once.
    """
    period, now = alarm.get("Period", 60), time.time()
    dimensions = cloudwatch._dims_key({each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []})
    points = list(cloudwatch._metrics.get((alarm.get("Namespace"), alarm.get("MetricName"), dimensions), []))
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic", "Average")
    values: list[float | None] = []
    for number in range(alarm.get("EvaluationPeriods", 1)):
        end = now - number * period
        within = [point for point in points if end - period < point["Timestamp"] <= end]
        stats = cloudwatch._calc_stats(within)
        value = cloudwatch._stat_value(stats, statistic, within) if stats else None
        values.append(value if value is None or math.isfinite(value) else None)
    return values


def put_metrics(namespace: str, data: Sequence[Datum]) -> None:
    """Add data of one of our services to CloudWatch."""
    from ministack.core import responses
    from ministack.services import cloudwatch

    with responses.request_scope(ACCOUNT, REGION):
        for datum in data:
            values, counts = list(datum.values), [float(count) for count in datum.values.values()]
            cloudwatch._store_datum(
                namespace, datum.name, dict(datum.dimensions), time.time(), datum.unit, None, values, counts, None
            )


class RollbackAlarms:
    """Looks at alarms as SageMaker does during a rollout: with the permissions of the endpoint's role."""

    def __init__(self) -> None:
        """Nobody has looked yet."""
        self._keys: dict[str, tuple[float, str]] = {}

    def firing(self, role_arn: str, names: Sequence[str]) -> list[str]:
        """Return those of the alarms that are in state ALARM.

        Raises:
            ServiceError: the role may not look at them, or there is no such alarm.
        """
        from ministack.core import responses
        from ministack.services import cloudwatch

        try:
            key = self._access_key(role_arn)
            for name in names:
                alarm = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"
                require_permission(key, "cloudwatch:DescribeAlarms", alarm)
        except AccessDeniedError as error:
            raise ServiceError("AccessDeniedException", str(error)) from error
        except AssumeRoleError as error:
            raise validation(str(error)) from error
        with responses.request_scope(ACCOUNT, REGION):
            states = {name: _state(cloudwatch, name) for name in names}
        unknown = [name for name, state in states.items() if state is None]
        if unknown:
            raise validation(f"The following CloudWatch alarm(s) do not exist: {', '.join(unknown)}.")
        return [name for name, state in states.items() if state == "ALARM"]

    def _access_key(self, role_arn: str) -> str:
        made, key = self._keys.get(role_arn, (-math.inf, ""))
        if time.monotonic() - made > _SESSION_SECONDS:
            key = assume_role(role_arn, SAGEMAKER_PRINCIPAL, "SageMaker")["AWS_ACCESS_KEY_ID"]
            self._keys[role_arn] = (time.monotonic(), key)
        return key


def _state(cloudwatch: Any, name: str) -> str | None:
    alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
    return None if alarm is None else str(alarm["StateValue"])


class AlarmClock:
    """Judges all alarms again and again: a state may change because time goes by and nothing comes in."""

    def __init__(self, seconds: float) -> None:
        """Look every ``seconds``, from ``start`` on."""
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        from ministack.core import responses
        from ministack.services import cloudwatch

        while not self._ended.wait(self._seconds):
            with responses.request_scope(ACCOUNT, REGION), contextlib.suppress(RuntimeError):
                # RuntimeError: an alarm came or went during the look; the next one sees them all.
                cloudwatch._evaluate_all_alarms()

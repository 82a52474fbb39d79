"""Warm pools: what Describe says of instances that wait for a next job. Here nothing waits, and nothing is paid for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

# A job takes over an instance that an earlier one with the same of these has kept.
_SAME: Final = ("RoleArn", "ResourceConfig", "VpcConfig", "EnableNetworkIsolation")


def keep_alive(job: Mapping[str, Any]) -> int:
    """Return for how many seconds a job's instance waits after it; 0: not at all."""
    seconds: int = job.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds", 0)
    return seconds


def status_at(job: Mapping[str, Any], moment: datetime) -> dict[str, Any] | None:
    """Return a job's WarmPoolStatus at a time; None where it has no warm pool."""
    kept = job.get("WarmPoolStatus")
    if not keep_alive(job) or kept is not None:
        return kept
    if "TrainingEndTime" not in job:
        return {"Status": "InUse"}
    waited = int((moment - job["TrainingEndTime"]).total_seconds())
    if waited < keep_alive(job):
        return {"Status": "Available", "ResourceRetainedBillableTimeInSeconds": max(0, waited)}
    return {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": keep_alive(job)}


def takes_over(job: Mapping[str, Any], earlier: Mapping[str, Any], moment: datetime) -> bool:
    """Tell whether a new job gets the instance of an earlier one."""
    status = status_at(earlier, moment)
    if not keep_alive(job) or status is None or status["Status"] != "Available":
        return False
    return all(job.get(member) == earlier.get(member) for member in _SAME)

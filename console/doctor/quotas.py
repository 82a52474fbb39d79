"""Service quotas: how many instances of each type the account may run at a time, against how many the stage needs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from console.cloud import Cloud
from console.doctor.result import Result, Subject, ok, problem, warning

_SERVICE: Final = "sagemaker"


@dataclass(frozen=True)
class Need:
    """Instances needed under one quota."""

    least: int
    comfortable: int
    why: str


@dataclass(frozen=True)
class Quota:
    """What the account may have under one name."""

    code: str
    value: int


def needs(settings: Mapping[str, Any]) -> dict[str, Need]:
    """Return quota name -> what a stage needs of it.

    Jobs run one after the other, trials at a time. While an endpoint is updated, its old instances stay beside the
    new ones; the rehearsal's one instance is gone by then, unless it takes its time.
    """
    found: dict[str, Need] = {}
    for step, job in settings["jobs"].items():
        count = settings["defaults"]["parallel_trials"] if step == "tune" else 1
        why = "trials at a time" if step == "tune" and count > 1 else step
        _add(found, job["instance_type"], "spot training job" if job["spot"] else "training job", count, why)
        if job["keep_alive_seconds"]:
            _add(found, job["instance_type"], "training warm pool", count, why)
    endpoint = settings["endpoint"]
    count, most = endpoint["instances"], endpoint["scaling"]["maximum_instances"] or endpoint["instances"]
    rehearsal = int(endpoint["rollout"]["rehearsal"])
    why = f"old and new{' and the rehearsal' if rehearsal else ''}"
    name = f"{endpoint['instance_type']} for endpoint usage"
    found[name] = Need(max(2 * count, count + rehearsal), 2 * most + rehearsal, why)
    return found


def _add(found: dict[str, Need], instance_type: str, kind: str, count: int, why: str) -> None:
    name = f"{instance_type} for {kind} usage"
    former = found.get(name)
    if former is None or count > former.least:
        found[name] = Need(count, count, why)


def quotas(subject: Subject) -> Iterator[Result]:
    """Every quota that the stage needs is high enough."""
    wanted = needs(subject.settings)
    available = _look_up(subject.cloud, set(wanted))
    for name, need in wanted.items():
        yield _judge(name, need, available.get(name), subject.cloud)


def _judge(name: str, need: Need, quota: Quota | None, cloud: Cloud) -> Result:
    label = f"Quota {name}"
    if quota is None:
        command = f"aws service-quotas list-service-quotas --service-code {_SERVICE} --region {cloud.region()}"
        return warning(label, f"{cloud.region()} knows no such quota; is the instance type offered there?", command)
    request = (
        f"aws service-quotas request-service-quota-increase --service-code {_SERVICE} "
        f"--quota-code {quota.code} --desired-value {need.comfortable} --region {cloud.region()}"
    )
    if quota.value < need.least:
        return problem(label, f"{quota.value}, and {need.least} needed ({need.why})", request)
    if quota.value < need.comfortable:
        return warning(label, f"{quota.value}; {need.comfortable} are comfortable ({need.why})", request)
    return ok(label, f"{quota.value}, and {need.comfortable} needed ({need.why})")


def _look_up(cloud: Cloud, names: set[str]) -> dict[str, Quota]:
    """Return the quotas by name: the account's own, and AWS's default where the account has none of its own."""
    client = cloud.client("service-quotas")
    found: dict[str, Quota] = {}
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        for page in client.get_paginator(operation).paginate(ServiceCode=_SERVICE):
            for quota in page["Quotas"]:
                if quota["QuotaName"] in names - found.keys() and "Value" in quota:
                    found[quota["QuotaName"]] = Quota(quota["QuotaCode"], int(quota["Value"]))
            if names == found.keys():
                return found
    return found

"""What a run and an idle month cost: prices times assumptions, and both are said."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from console.cost.prices import PriceTable
from contract.names import Step

HOURS_A_MONTH: Final = 730
# Estimated for the default data set (8,351 photos, 1.1 GB) from CPU time measured on a laptop, the GPUs' usual
# advantage and some minutes to pull the image; never measured on AWS. Billed are the minutes of the instances.
MINUTES: Final[Mapping[str, float]] = {
    Step.PREPARE: 12,
    Step.EXTRACT: 10,
    Step.TUNE: 4,  # one trial
    Step.TRAIN: 30,
    "rehearsal": 12,  # the endpoint beside production, from creation to deletion
    "rollout": 10,  # both fleets, before any bake time
}
# Spot prices change by the hour; AWS says up to 90 % less.
SPOT_PRICE: Final = 0.4
STORED_GB: Final = 5  # prepared photos, features, checkpoints, a few models
IMAGE_GB: Final = 6  # both images in the registry, compressed
BUILD_MINUTES: Final = 20  # one image
ALARM_METRICS: Final = 10
TRANSITIONS: Final = 400  # states entered in one execution, waiting included
LOG_GB: Final = 0.05


@dataclass(frozen=True)
class Line:
    """One thing that costs; ``usd`` is None where a price is missing."""

    what: str
    how: str
    usd: float | None
    spot_usd: float | None = None

    @property
    def expected(self) -> float | None:
        """What it probably costs: on spot capacity where the settings say so."""
        return self.usd if self.spot_usd is None else self.spot_usd


@dataclass(frozen=True)
class Estimate:
    """What was worked out."""

    once: tuple[Line, ...]
    run: tuple[Line, ...]
    month: tuple[Line, ...]
    endpoint_hour: float | None


def total(lines: tuple[Line, ...]) -> tuple[float, float]:
    """Return the sum at the full price and the expected one; what has no price counts nothing."""
    return sum(line.usd or 0.0 for line in lines), sum(line.expected or 0.0 for line in lines)


def estimate(settings: Mapping[str, Any], prices: PriceTable, trials: int | None = None) -> Estimate:
    """Return what these settings cost; ``trials`` stands in for the settings' own number."""
    hour = prices.instance_hour(settings["endpoint"]["instance_type"])
    return Estimate(
        once=tuple(_once(settings, prices)),
        run=tuple(_run(settings, prices, trials or settings["defaults"]["trials"])),
        month=tuple(_month(settings, prices)),
        endpoint_hour=hour,
    )


def _once(settings: Mapping[str, Any], prices: PriceTable) -> Iterator[Line]:
    if settings["image"] is None:
        users = [*settings["jobs"].values(), settings["endpoint"]]
        images = len({_is_gpu(user["instance_type"]) for user in users})
        usd = images * BUILD_MINUTES * prices.other("build_minute")
        yield Line("Building the image", f"{images} x about {BUILD_MINUTES} min of CodeBuild", usd)


def _is_gpu(instance_type: str) -> bool:
    return instance_type.startswith(("ml.g", "ml.p"))


def _run(settings: Mapping[str, Any], prices: PriceTable, trials: int) -> Iterator[Line]:
    jobs = settings["jobs"]
    yield _job(Step.PREPARE, jobs["prepare"], prices)
    yield _job(Step.EXTRACT, jobs["extract"], prices)
    yield _job(Step.TUNE, jobs["tune"], prices, trials)
    yield _job(Step.TRAIN, jobs["train"], prices)
    yield from _deployment(settings["endpoint"], prices)
    usd = TRANSITIONS * prices.other("state_transition") + LOG_GB * prices.other("log_gb")
    yield Line("State machine, logs", f"about {TRANSITIONS} transitions, {LOG_GB:g} GB", usd)


def _job(step: Step, job: Mapping[str, Any], prices: PriceTable, count: int = 1) -> Line:
    minutes = MINUTES[step] + job["keep_alive_seconds"] / 60 / count
    often = f"{count} x " if count > 1 else ""
    kept = " with the warm pool" if job["keep_alive_seconds"] else ""
    how = f"{often}{minutes:.0f} min of {job['instance_type']}{', spot' if job['spot'] else ''}{kept}"
    usd = _times(prices.instance_hour(job["instance_type"]), count * minutes / 60)
    return Line(str(step), how, usd, _times(usd, SPOT_PRICE) if job["spot"] else None)


def _deployment(endpoint: Mapping[str, Any], prices: PriceTable) -> Iterator[Line]:
    rollout, kind = endpoint["rollout"], endpoint["instance_type"]
    hour = prices.instance_hour(kind)
    if rollout["rehearsal"]:
        minutes = MINUTES["rehearsal"]
        yield Line("Rehearsal", f"{minutes:.0f} min of {kind}, from the second run on", _times(hour, minutes / 60))
    shifts = 2 if rollout["traffic"] == "canary" else 1
    minutes = MINUTES["rollout"] + (shifts * rollout["bake_seconds"] + rollout["termination_wait_seconds"]) / 60
    count = endpoint["instances"]
    often = f"{count} x " if count > 1 else ""
    how = f"{often}{minutes:.0f} min of {kind}, from the second run on"
    yield Line("Old and new endpoint", how, _times(hour, count * minutes / 60))


def _times(price: float | None, amount: float) -> float | None:
    return None if price is None else price * amount


def _month(settings: Mapping[str, Any], prices: PriceTable) -> Iterator[Line]:
    endpoint, idle = settings["endpoint"], settings["reaper"]["idle_hours"]
    hours, how = endpoint_hours(endpoint)
    if idle is not None and idle < HOURS_A_MONTH:
        hours = endpoint["instances"] * idle
        how = f"{_instances(endpoint['instances'])} for {idle} h without a request, then deleted (reaper.idle_hours)"
    kind = endpoint["instance_type"]
    yield Line("Endpoint", f"{how}, {kind}", _times(prices.instance_hour(kind), hours))
    yield Line("Bucket", f"about {STORED_GB} GB", STORED_GB * prices.other("storage_gb_month"))
    if settings["image"] is None:
        yield Line("Images", f"about {IMAGE_GB} GB in the registry", IMAGE_GB * prices.other("image_gb_month"))
    if settings["customer_key"]:
        yield Line("KMS key", "one, plus one for each year of rotation", prices.other("key_month"))
    alarms = ALARM_METRICS * prices.other("alarm_month")
    yield Line("Alarms", f"about {ALARM_METRICS} metrics; an account's first 10 are free", alarms)
    yield Line("Dashboard", "one; an account's first 3 are free", prices.other("dashboard_month"))


def endpoint_hours(endpoint: Mapping[str, Any]) -> tuple[float, str]:
    """Return the instance hours of a month without requests, and how they come about in words."""
    count, night = endpoint["instances"], endpoint["scaling"]["night"]
    if night["begins"] is None:
        return count * HOURS_A_MONTH, f"{_instances(count)} for {HOURS_A_MONTH} h"
    share = _night_share(night["begins"], night["ends"])
    small = min(count, night["instances"])
    hours = HOURS_A_MONTH * (count * (1 - share) + small * share)
    return hours, f"{_instances(count)}, {small} from {night['begins']} to {night['ends']}"


def _instances(count: int) -> str:
    return f"{count} instance{'' if count == 1 else 's'}"


def _night_share(begins: str, ends: str) -> float:
    span = datetime.strptime(ends, "%H:%M") - datetime.strptime(begins, "%H:%M")
    return (span % timedelta(days=1)) / timedelta(days=1)


def requests_cost(prices: PriceTable, count: int) -> float:
    """Return what so many photos cost through the API, the endpoint's hours left out: 1 s of 512 MB each."""
    each = prices.other("api_request") + prices.other("function_request") + 0.5 * prices.other("function_gb_second")
    return count * each

"""The estimate as tables for people, and as JSON for programs."""

import dataclasses
from typing import Any

from rich.table import Table

from console.cost.estimate import (
    HOURS_A_MONTH,
    SPOT_PRICE,
    Estimate,
    Line,
    estimate,
    requests_cost,
    total,
)
from console.cost.prices import PRICES_FILE, PriceTable
from console.project import Project
from console.screen import Screen
from console.stage_settings import stage_settings

_PHOTOS = 1000


def show_cost(project: Project, stage: str, screen: Screen, trials: int | None = None) -> None:
    """Print what a stage costs, and all that this rests on."""
    prices = PriceTable.load(project.root)
    found = estimate(stage_settings(project, stage), prices, trials)
    screen.say(f"Stage {stage}, prices of {prices.region} in US dollars", style="bold")
    for heading, lines in (
        ("The first deployment", found.once),
        ("One run", found.run),
        ("An idle month", found.month),
    ):
        if lines:
            screen.say()
            screen.show(_table(heading, lines))
    screen.say()
    photos = requests_cost(prices, _PHOTOS)
    screen.say(f"{_PHOTOS:,} photos through the API cost {_dollars(photos)} besides the endpoint.")
    _show_assumptions(screen, prices, found)


def as_json(project: Project, stage: str, trials: int | None = None) -> dict[str, Any]:
    """Return the same for programs; a price that the table lacks is null, and named in ``missing``."""
    prices = PriceTable.load(project.root)
    found = estimate(stage_settings(project, stage), prices, trials)
    run, expected = total(found.run)
    return {
        "stage": stage,
        "region": prices.region,
        "currency": "USD",
        "once": sum(line.usd or 0.0 for line in found.once),
        "run": {"at_most": run, "expected": expected},
        "idle_month": total(found.month)[0],
        "endpoint_hour": found.endpoint_hour,
        "missing": prices.missing(),
        "lines": dataclasses.asdict(found),
        "sources": [dataclasses.asdict(source) for source in prices.sources()],
    }


def _table(heading: str, lines: tuple[Line, ...]) -> Table:
    spot = any(line.spot_usd is not None for line in lines)
    at_most, expected = total(lines)
    table = Table(box=None, padding=(0, 2, 0, 0), show_footer=True)
    table.add_column(heading, "together", no_wrap=True)
    table.add_column("")
    table.add_column("on demand" if spot else "", _dollars(at_most), justify="right", no_wrap=True)
    if spot:
        table.add_column("expected", _dollars(expected), justify="right", no_wrap=True)
    for line in lines:
        cells = [line.what, line.how, _dollars(line.usd)]
        table.add_row(*cells, *([_dollars(line.expected)] if spot else []))
    return table


def _dollars(usd: float | None) -> str:
    if usd is None:
        return "no price"
    return f"{usd:,.2f}" if usd >= 0.005 else "< 0.01"


def _show_assumptions(screen: Screen, prices: PriceTable, found: Estimate) -> None:
    screen.say()
    screen.say("This rests on", style="bold")
    assumptions = [
        "minutes per step estimated for the default data set (8,351 photos), never measured on AWS",
        f"spot at {SPOT_PRICE:.0%} of the price; AWS says up to 90 % less, by the hour and the region",
        f"{HOURS_A_MONTH} hours a month; nothing taken off for free tiers and credits",
        "not counted: disks beside the instances, taxes, what leaves AWS for the internet, NAT and VPC endpoints",
    ]
    if found.endpoint_hour is not None:
        assumptions.insert(0, f"the endpoint at {found.endpoint_hour:g} an hour per instance, used or not")
    for text in assumptions:
        screen.say(f"  - {text}")
    screen.say()
    screen.say("Prices from", style="bold")
    for source in prices.sources():
        screen.say(f"  {source.date:<10}  {source.page}")
    for missing in prices.missing():
        screen.say()
        screen.say(f"{missing} is not in {PRICES_FILE}, so what runs on it is left out of the sums.", style="bold")
        screen.say(f"Its price: {prices.pricing_page}; add it under instance_hours with a source, page and day.")

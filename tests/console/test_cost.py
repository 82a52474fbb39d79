"""`pedigree cost`: the sums, what is assumed and what is missing."""

import copy
import io
import json
from pathlib import Path
from typing import Any

import pytest

from console.cost import show
from console.cost.estimate import HOURS_A_MONTH, SPOT_PRICE, Line, endpoint_hours, estimate, total
from console.cost.prices import PriceTable
from console.errors import ConsoleError
from console.project import Project
from console.screen import Screen
from infra.show_settings import resolved

ROOT = Path(__file__).parents[2]
DEV = resolved("dev")


@pytest.fixture
def prices() -> PriceTable:
    return PriceTable.load(ROOT)


def changed(*path: str, to: Any) -> dict[str, Any]:
    """Return dev's settings with one value changed."""
    settings = copy.deepcopy(DEV)
    section = settings
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = to
    return settings


def line(lines: tuple[Line, ...], what: str) -> Line:
    return next(each for each in lines if each.what == what)


def test_every_price_names_a_source_with_page_and_date() -> None:
    table = json.loads((ROOT / "prices.json").read_text("utf-8"))
    for entry in (*table["instance_hours"].values(), *table["others"].values()):
        source = table["sources"][entry["source"]]
        assert source["page"].startswith("https://")
        assert source["date"][:4].isdecimal()
        assert entry["usd"] > 0


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_every_instance_type_of_a_stage_has_a_price(stage: str, prices: PriceTable) -> None:
    estimate(resolved(stage), prices)
    assert not prices.missing()


def test_a_job_costs_its_minutes_and_spot_is_expected_to_cost_less(prices: PriceTable) -> None:
    train = line(estimate(DEV, prices).run, "Train")
    assert train.usd == pytest.approx(0.7364 * 30 / 60)
    assert train.expected == pytest.approx(0.7364 * 30 / 60 * SPOT_PRICE)
    prepare = line(estimate(DEV, prices).run, "Prepare")
    assert prepare.expected == prepare.usd


def test_trials_are_counted_whatever_number_runs_at_a_time(prices: PriceTable) -> None:
    ten = line(estimate(DEV, prices).run, "Tune").usd
    twenty = line(estimate(DEV, prices, trials=20).run, "Tune").usd
    assert ten is not None
    assert twenty == pytest.approx(2 * ten)


def test_a_warm_pool_costs_its_waiting_once(prices: PriceTable) -> None:
    warm = estimate(changed("jobs", "tune", "keep_alive_seconds", to=3600), prices).run
    cold = estimate(DEV, prices).run
    assert total(warm)[0] - total(cold)[0] == pytest.approx(0.115)


def test_a_canary_bakes_twice(prices: PriceTable) -> None:
    settings = changed("endpoint", "rollout", "bake_seconds", to=3600)
    settings["endpoint"]["instances"] = 2
    at_once = line(estimate(settings, prices).run, "Old and new endpoint").usd
    settings["endpoint"]["rollout"]["traffic"] = "canary"
    canary = line(estimate(settings, prices).run, "Old and new endpoint").usd
    assert at_once is not None
    assert canary == pytest.approx(at_once + 2 * 0.7364)


def test_without_a_rehearsal_none_is_paid(prices: PriceTable) -> None:
    run = estimate(changed("endpoint", "rollout", "rehearsal", to=False), prices).run
    assert "Rehearsal" not in {each.what for each in run}


def test_an_idle_month_is_the_endpoint_s_month(prices: PriceTable) -> None:
    settings = changed("reaper", "idle_hours", to=None)
    assert line(estimate(settings, prices).month, "Endpoint").usd == pytest.approx(HOURS_A_MONTH * 0.7364)


def test_the_reaper_ends_an_idle_month_early(prices: PriceTable) -> None:
    endpoint = line(estimate(changed("reaper", "idle_hours", to=24), prices).month, "Endpoint")
    assert endpoint.usd == pytest.approx(24 * 0.7364)
    assert "reaper.idle_hours" in endpoint.how


@pytest.mark.parametrize(
    ("begins", "ends", "share"),
    [("22:00", "07:00", 9 / 24), ("00:00", "06:00", 6 / 24), ("20:30", "08:00", 11.5 / 24)],
)
def test_a_night_counts_its_own_instances(begins: str, ends: str, share: float) -> None:
    endpoint = copy.deepcopy(DEV["endpoint"]) | {"instances": 4}
    endpoint["scaling"]["night"] |= {"begins": begins, "ends": ends, "instances": 1}
    hours, how = endpoint_hours(endpoint)
    assert hours == pytest.approx(HOURS_A_MONTH * (4 - 3 * share))
    assert begins in how


def test_an_image_of_one_s_own_is_not_built_and_not_stored(prices: PriceTable) -> None:
    found = estimate(changed("image", to="123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1"), prices)
    assert not found.once
    assert "Images" not in {each.what for each in found.month}


def test_the_customer_key_costs_its_month(prices: PriceTable) -> None:
    month = estimate(changed("customer_key", to=True), prices).month
    assert line(month, "KMS key").usd == 1.0


def test_an_unknown_instance_type_is_named_and_left_out_of_the_sums(
    screen: Screen, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = changed("endpoint", "instance_type", to="ml.g9.huge")
    monkeypatch.setattr(show, "stage_settings", lambda project, stage: settings)
    show.show_cost(Project(ROOT), "dev", screen)
    assert "ml.g9.huge is not in prices.json" in written.getvalue()
    assert "add it under instance_hours" in written.getvalue()
    content = show.as_json(Project(ROOT), "dev")
    assert content["missing"] == ["ml.g9.huge"]
    assert content["endpoint_hour"] is None
    assert 0 < content["run"]["at_most"] < 1


def test_the_page_fits_80_columns_but_for_addresses(screen: Screen, written: io.StringIO) -> None:
    show.show_cost(Project(ROOT), "prod", screen, trials=100)
    tables = written.getvalue().partition("This rests on")[0]
    assert max(map(len, tables.splitlines())) <= 80
    assert "together" in tables


def test_json_and_page_agree(screen: Screen, written: io.StringIO) -> None:
    show.show_cost(Project(ROOT), "dev", screen)
    content = show.as_json(Project(ROOT), "dev")
    assert f"{content['idle_month']:,.2f}" in written.getvalue()
    assert json.loads(json.dumps(content))["run"]["expected"] < content["run"]["at_most"]


def test_a_missing_price_table_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConsoleError, match=r"prices\.json is missing or no JSON"):
        PriceTable.load(tmp_path)


def test_a_wrong_stage_is_refused_with_the_settings_own_words() -> None:
    with pytest.raises(ConsoleError, match="stage: 'staging' given, one of"):
        show.as_json(Project(ROOT), "staging")

"""From what was measured to the ratios and lines of the report."""

import pytest

from benchmarks.bench_serving import BARE, CLIENTS, INT8, Cell, arguments, described, ratios_of


def cell(per_second: float, median: float = 0.1, p99: float = 0.2) -> Cell:
    return Cell(per_second, median, p99, 0.02)


# Ours answers 40 photos a second, each other server as many fewer times as its ratio says.
MEASURED = {
    ("seed", 1): cell(10, median=0.2),
    ("seed", 8): cell(10),
    ("seed", 32): cell(8),
    ("litserve", 8): cell(10),
    ("litserve", 32): cell(8),
    ("torchserve", 8): cell(20),
    ("torchserve", 32): cell(20),
    ("same_engine", 8): cell(20),
    ("same_engine", 32): cell(32),
    ("ours", 1): cell(30, median=0.05),
    ("ours", 8): cell(40),
    ("ours", 32): cell(40, p99=1.0),
    ("float32", 1): cell(20),
    ("float32", 32): cell(32),
    (BARE, 0): cell(50),
}


def test_every_ratio_has_its_name_and_is_ours_over_the_baselines() -> None:
    assert ratios_of([MEASURED], INT8) == {
        "seed_c1": [3.0],
        "seed_c8": [4.0],
        "seed_c32": [5.0],
        "litserve_c8": [4.0],
        "litserve_c32": [5.0],
        "torchserve_c8": [2.0],
        "torchserve_c32": [2.0],
        "same_engine_c8": [2.0],
        "same_engine_c32": [1.25],
        "bare_c8": [0.8],
        "bare_c32": [0.8],
        "int8_seed_c32": [5.0],
        "float32_seed_c1": [2.0],
        "float32_seed_c32": [4.0],
        "latency_c1": [0.25],
        "p99_queueing_c32": [pytest.approx(1.0 / (32 / 40))],
    }


def test_int8_has_a_ratio_only_where_it_is_what_serves() -> None:
    assert "int8_seed_c32" not in ratios_of([MEASURED], "openvino")


def test_there_is_one_value_per_round_and_none_where_a_server_was_left_out() -> None:
    without = {key: value for key, value in MEASURED.items() if key[0] not in ("torchserve", "seed")}
    found = ratios_of([MEASURED, without], INT8)
    assert len(found["litserve_c8"]) == 2
    assert {len(found[name]) for name in ("seed_c1", "int8_seed_c32", "latency_c1", "torchserve_c32")} == {1}


def test_every_server_is_loaded_with_the_clients_that_its_ratios_need() -> None:
    loaded = {(name, clients) for name, many in CLIENTS.items() for clients in many}
    assert loaded == set(MEASURED) - {(BARE, 0)}


def test_a_request_that_failed_is_not_kept_quiet() -> None:
    failed = Cell(40.0, 0.1, 0.2, 0.02, {"503": 3})
    (line,) = described([{("ours", 32): failed}])
    assert "40.0 photos/s" in line
    assert "{'503': 3}" in line


def test_an_unknown_server_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments().parse_args(["--only", "seed,triton"])
    assert "triton: of seed,litserve" in capsys.readouterr().err

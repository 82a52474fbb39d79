"""Figures of what a load client saw."""

from pathlib import Path

import pytest

from benchmarks.serving.exchanges import HUNG, LOST, REFUSED, Exchange, Load, percentile


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.501, 51), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(share: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), share) == expected


def test_a_percentile_of_nothing_or_of_a_wrong_share_is_refused() -> None:
    with pytest.raises(ValueError, match="0 values"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="share 50"):
        percentile([1.0], 50)


def test_only_answers_with_200_within_the_time_count() -> None:
    warmup, first, last = Exchange(8.0, 1.5, 200), Exchange(9.0, 1.0, 200), Exchange(14.0, 0.9, 200)
    late, refused = Exchange(14.5, 1.0, 200), Exchange(11.0, 0.5, 503)
    load = Load(10.0, 15.0, [warmup, first, refused, last, late], 0.1)
    assert load.answered == [first, last]
    assert load.per_second == pytest.approx(2 / 5)
    assert load.latency(1.0) == 1.0


def test_failures_are_counted_whenever_they_happened() -> None:
    endings = [200, 503, 503, LOST, HUNG, REFUSED]
    load = Load(10.0, 15.0, [Exchange(float(begun), 0.1, status) for begun, status in enumerate(endings)], 0.1)
    assert load.failures == {"503": 2, "lost": 1, "hung": 1, "refused": 1}


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    load = Load(10.0, 15.0, [Exchange(11.0, 0.25, 200)], 0.1)
    load.save(tmp_path / "load.json")
    assert Load.read(tmp_path / "load.json") == load

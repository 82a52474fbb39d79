"""Whether memory grew, told from samples of it."""

import pytest

from benchmarks.bench_soak import Sample, growth


def samples(*memory: int) -> list[Sample]:
    return [Sample(10.0 * number, bytes_held, 2) for number, bytes_held in enumerate(memory)]


def test_what_fills_up_in_the_first_fifth_is_no_growth() -> None:
    assert growth(samples(10, 50, *[100] * 12)) == 1.0


def test_a_leak_is_growth() -> None:
    assert growth(samples(*[100] * 4, *range(100, 112))) == pytest.approx(1.105, abs=0.01)


def test_one_high_sample_is_none() -> None:
    assert growth(samples(*[100] * 37, 300)) == 1.0


def test_too_few_samples_tell_nothing() -> None:
    with pytest.raises(ValueError, match="1 samples"):
        growth(samples(100))

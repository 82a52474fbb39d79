import numpy as np
import pytest

from serving.engines.measurement import Rates, measure, score, worthwhile_batch
from tests.serving.engines.conftest import FakeEngine
from vision.check_photos import Logits, Photos


class Clock:
    """Time that passes only where a fake engine says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def engine(self, name: str, call: float, photo: float, asked: list[int]) -> FakeEngine:
        """Return an engine that takes ``call`` seconds for each call and ``photo`` for each photo."""

        def answer(photos: Photos) -> Logits:
            self.now += call + photo * len(photos)
            asked.append(len(photos))
            return np.zeros((len(photos), 2), np.float32)

        return FakeEngine(name, answer)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("serving.engines.measurement.time", clock)
    return clock


PHOTOS = np.zeros((2, 3, 4, 4), np.uint8)


def test_rates_are_photos_per_second_for_each_count_of_photos(clock: Clock) -> None:
    asked: list[int] = []
    rates = measure({"a": clock.engine("a", 0.01, 0.01, asked)}, PHOTOS, (1, 3))["a"]
    assert rates == {1: pytest.approx(50), 3: pytest.approx(75)}
    assert clock.now < 2


def test_a_slow_engine_is_asked_once_and_takes_no_time_from_the_others(clock: Clock) -> None:
    slow: list[int] = []
    fast: list[int] = []
    engines = {"slow": clock.engine("slow", 0, 1, slow), "fast": clock.engine("fast", 0, 0.01, fast)}
    rates = measure(engines, PHOTOS, (1, 4))
    assert slow == [1]
    assert rates["slow"] == {1: 1}
    assert len(fast) > 20


def test_the_shortest_call_counts(clock: Clock) -> None:
    def answer(photos: Photos) -> Logits:
        clock.now += 0.5 if clock.now == 0 else 0.1
        return np.zeros((len(photos), 2), np.float32)

    assert measure({"a": FakeEngine("a", answer)}, PHOTOS, (1,))["a"] == {1: pytest.approx(10)}


@pytest.mark.parametrize(
    ("rates", "batch"), [({1: 10, 2: 10.3, 4: 10.4}, 1), ({1: 10, 2: 19, 4: 20}, 2), ({1: 10, 2: 20, 4: 40}, 4)]
)
def test_a_batch_is_as_large_as_throughput_grows(rates: Rates, batch: int) -> None:
    assert worthwhile_batch(rates) == batch


def test_engines_are_compared_by_single_photos_as_much_as_by_throughput() -> None:
    assert score({1: 4, 8: 9}) == pytest.approx(6)
    assert score({1: 4, 8: 9}) > score({1: 1, 8: 30})

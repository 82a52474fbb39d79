"""Photos of other things, shown to a model of ten dog breeds."""

from pathlib import Path

import pytest
import torch

from benchmarks.bench_unknown import DOGS, area, measure, prepare, train
from benchmarks.strangers import STRANGERS


@pytest.mark.parametrize(("strangers", "expected"), [([0.1, 0.2], 1.0), ([0.8, 0.9], 0.0), ([0.5, 0.5], 0.5)])
def test_the_area_is_the_share_of_pairs_in_the_right_order(strangers: list[float], expected: float) -> None:
    assert area(torch.tensor([0.5, 0.5]), torch.tensor(strangers)) == expected


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_stranger_is_drawn_the_same_every_time_and_no_two_are_alike(kind: str) -> None:
    draw = STRANGERS[kind]
    assert draw(1).tobytes() == draw(1).tobytes()
    assert len({draw(number).tobytes() for number in range(4)}) == 4
    assert draw(0).mode == "RGB"


@pytest.mark.slow
@pytest.mark.skipif(not DOGS.is_dir(), reason=f"needs the photos in {DOGS}")
def test_most_strangers_are_flagged_and_most_known_dogs_are_not(tmp_path: Path) -> None:
    prepare(tmp_path)
    found = measure(train(tmp_path, seed=0, fine_tune_epochs=0), tmp_path, photos=20)
    assert found["flagged_known"] <= 0.15
    assert min(found["flagged_scenes"], found["flagged_textures"]) >= 0.5
    assert min(found[f"auroc_{kind}"] for kind in STRANGERS) >= 0.8

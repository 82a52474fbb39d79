"""Batches shared by several passes and several processes: the same steps as one pass in one process makes."""

import copy
import functools
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.two_processes import run_two_processes
from training.activations import Activations, CachedViews, SourceSettings, TrainedPart
from training.checkpoints import Checkpoints
from training.debugging import NO_DEBUGGER
from training.environment import StopSignal
from training.fine_tuning import FineTuner, FineTuning, Tools
from training.precision import Precision
from training.world import BatchPlan, World, join_world, plan_batches
from vision.backbones import Backbone, load_backbone
from vision.heads import Head

PHOTOS, CLASSES, BATCH = 29, 3, 8  # the last batch has 5 photos: uneven for two processes, one of them empty-handed


@pytest.mark.parametrize("photos", [0, 1, 7, 8, 29, 64])
@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize(("at_once", "together"), [(1, 1), (3, 1), (100, 1), (3, 2), (100, 2)])
def test_no_photo_is_seen_twice_or_left_out(photos: int, processes: int, at_once: int, together: int) -> None:
    plans = [plan_batches(BATCH, at_once, World(rank, processes), together) for rank in range(processes)]
    shares = [plan.share(list(range(photos))) for plan in plans]
    assert sorted(number for share in shares for part in share for number in part) == list(range(photos))
    assert {len(share) for share in shares} == {plans[0].steps(photos) * plans[0].accumulated}
    assert all(len(part) <= at_once for share in shares for part in share)


@pytest.mark.parametrize(("batch", "at_once", "processes"), [(1024, 100, 4), (32, 32, 1), (64, 24, 2), (65, 7, 3)])
def test_a_batch_is_as_large_as_asked_and_spread_evenly(batch: int, at_once: int, processes: int) -> None:
    plan = plan_batches(batch, at_once, World(0, processes))
    assert plan.batch == batch
    assert plan.micro_batch <= at_once
    assert batch <= plan.micro_batch * plan.accumulated * processes < batch * 1.3


@pytest.mark.parametrize("at_once", [1, 2, 3, 6, 7, 100])
@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("batch", [7, 8])
def test_pairs_stay_together_whatever_fits_at_once(batch: int, at_once: int, processes: int) -> None:
    found: set[tuple[int, ...]] = set()
    for rank in range(processes):
        for part in plan_batches(batch, at_once, World(rank, processes), together=2).share(list(range(20))):
            found |= {tuple(part[first : first + 2]) for first in range(0, len(part), 2)}
    steps = [list(range(20))[start : start + batch] for start in range(0, 20, batch)]
    assert found == {tuple(step[first : first + 2]) for step in steps for first in range(0, len(step), 2)}


@functools.cache
def untrained() -> Backbone:
    return load_backbone("efficientnet_lite0", weights="none").backbone


def weights_after(
    plan: BatchPlan, folder: Path, precision: torch.dtype = torch.float32, **choices: Any
) -> torch.Tensor:
    """Fine-tune two epochs and return all trained weights; everything drawn is the same in every process."""
    backbone = copy.deepcopy(untrained())
    part = TrainedPart(backbone, "head", Precision(precision, torch.device("cpu")))
    head = Head(1280, CLASSES)
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (PHOTOS,), generator=generator)
    values = torch.randn(PHOTOS, 1, 320, 2, 2, generator=generator) + labels.view(-1, 1, 1, 1, 1)
    source = CachedViews(Activations(values.half(), labels), SourceSettings(plan, 0, 1), torch.device("cpu"))
    world = plan.world
    valid = Activations(values[world.rank :: world.size].half(), labels[world.rank :: world.size])
    settings = FineTuning(2, 1e-3, 1e-2, plan, **choices)
    tools = Tools(Checkpoints(folder, {}, lambda line: None), NO_DEBUGGER, StopSignal(), lambda row: None)
    tuner = FineTuner(part, head, source, valid, settings)
    history = tuner.run(tools, plan.steps(PHOTOS), 0)
    rows = torch.tensor([[row.train_loss, row.train_accuracy, row.valid_loss, row.valid_accuracy] for row in history])
    trained = [parameter.detach().flatten() for parameter in (*part.parameters, *head.parameters())]
    return torch.cat([rows.flatten(), *trained])


WHOLE = BatchPlan(BATCH, BATCH)


@pytest.mark.parametrize(
    "choices", [{}, {"optimizer": "sgd", "label_smoothing": 0.1}, {"class_weights": (0.2, 1.0, 3.0), "ema": 0.9}]
)
def test_accumulated_gradients_equal_the_large_batch(tmp_path: Path, choices: dict[str, Any]) -> None:
    parts = plan_batches(BATCH, 3)
    assert parts.accumulated == 3
    expected = weights_after(WHOLE, tmp_path / "whole", **choices)
    assert torch.allclose(weights_after(parts, tmp_path / "parts", **choices), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_sixteen_bits_learn_about_the_same(tmp_path: Path, precision: torch.dtype) -> None:
    expected = weights_after(WHOLE, tmp_path / "32")
    found = weights_after(WHOLE, tmp_path / "16", precision)
    assert torch.allclose(found[:8], expected[:8], rtol=0.1, atol=0.05)  # losses and accuracies
    assert not torch.equal(found, expected)


def test_an_average_of_weights_is_kept_in_their_place(tmp_path: Path) -> None:
    plain, averaged = (weights_after(WHOLE, tmp_path / str(ema), ema=ema) for ema in (0.0, 0.99))
    assert not torch.allclose(plain, averaged)


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_world() as world:
        assert (world.size, world.is_chief) == (1, True)
        assert world.gather(["b", "a", "b"]) == ["a", "b"]


@pytest.mark.slow
def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    expected = weights_after(BatchPlan(BATCH, BATCH), tmp_path / "one")
    run_two_processes("-c", _ONE_OF_TWO, str(tmp_path))
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    assert torch.equal(found[0], found[1])
    assert torch.allclose(found[0], expected, rtol=1e-4, atol=1e-5)
    assert len(list((tmp_path / "two").glob("*.pt"))) == 2  # written by the chief alone


_ONE_OF_TWO = """
import sys
from pathlib import Path
import torch
from tests.training.test_world import BATCH, weights_after
from training.world import join_world, plan_batches
folder = Path(sys.argv[1])
with join_world() as world:
    torch.save(weights_after(plan_batches(BATCH, 3, world), folder / "two"), folder / f"{world.rank}.pt")
"""

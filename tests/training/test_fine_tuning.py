import copy
from pathlib import Path

import pytest
import torch

from training.activations import Activations, CachedViews, SourceSettings, TrainedPart
from training.checkpoints import Checkpoints
from training.debugging import NO_DEBUGGER
from training.environment import Interrupted, StopSignal
from training.fine_tuning import FineTuner, FineTuning, Tools, _schedule
from training.history import Epoch
from training.world import BatchPlan
from vision.backbones import load_backbone
from vision.heads import Head

PHOTOS, CLASSES = 24, 3


class Workshop:
    """One small fine-tuning: random activations whose class is in their brightness."""

    def __init__(self, checkpoints: Path, epochs: int = 3, backbone_lr: float = 1e-3) -> None:
        self.part = TrainedPart(load_backbone("efficientnet_lite0", weights="none").backbone, "head")
        self.head = Head(1280, CLASSES)
        generator = torch.Generator().manual_seed(0)
        labels = torch.arange(PHOTOS) % CLASSES
        values = torch.randn(PHOTOS, 1, 320, 2, 2, generator=generator) + labels.view(-1, 1, 1, 1, 1)
        data = Activations(values.half(), labels)
        plan = BatchPlan(8, 8)
        source = CachedViews(data, SourceSettings(plan, 0, 1), torch.device("cpu"))
        self.tuner = FineTuner(self.part, self.head, source, data, FineTuning(epochs, backbone_lr, 1e-2, plan))
        self.stop = StopSignal()
        self.rows: list[Epoch] = []
        self.checkpoints = Checkpoints(checkpoints, {"test": 1}, lambda line: None)

    def run(self) -> list[Epoch]:
        return self.tuner.run(Tools(self.checkpoints, NO_DEBUGGER, self.stop, self.on_epoch), 3, 5)

    def on_epoch(self, row: Epoch) -> None:
        self.rows.append(row)
        self.stop.check()

    def weights(self) -> dict[str, torch.Tensor]:
        return {**self.part.backbone.state_dict(), **self.head.state_dict()}


def test_it_learns_and_numbers_its_epochs_after_the_probes(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    history = workshop.run()
    assert history == workshop.rows
    assert [(row.epoch, row.phase) for row in history] == [(6, "fine-tune"), (7, "fine-tune"), (8, "fine-tune")]
    assert history[-1].valid_accuracy > 0.5


def test_frozen_weights_and_batch_norm_statistics_stay(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    before = copy.deepcopy(workshop.weights())
    workshop.run()
    changed = {key for key, value in workshop.weights().items() if not torch.equal(value, before[key])}
    assert "network.conv_head.weight" in changed
    assert all(key.startswith(("network.conv_head", "network.bn2", "linear")) for key in changed)
    assert not [key for key in changed if "running" in key or "num_batches" in key]


def test_a_fine_tuning_that_makes_it_worse_keeps_the_fitted_head(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = Workshop(tmp_path / "good", epochs=6)
    good.run()
    spoilt = Workshop(tmp_path / "spoilt", epochs=1, backbone_lr=100.0)
    spoilt.part.backbone.load_state_dict(good.part.backbone.state_dict())
    spoilt.head.load_state_dict(good.head.state_dict())
    before = copy.deepcopy(spoilt.weights())
    spoilt.run()
    assert all(torch.equal(value, before[key]) for key, value in spoilt.weights().items())
    assert "the fitted head, which fine-tuning did not improve" in capsys.readouterr().out


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Workshop(tmp_path / "whole")
    whole.run()
    first = Workshop(tmp_path / "parts")
    first.stop._received = True  # answered after the first epoch's first step
    with pytest.raises(Interrupted):
        first.run()
    first.stop._received = False
    second = Workshop(tmp_path / "parts")
    killer = second.on_epoch

    def stop_after_one(row: Epoch) -> None:
        second.stop._received = True
        killer(row)

    second.on_epoch = stop_after_one  # type: ignore[method-assign]  # the test's way to stop between two epochs
    with pytest.raises(Interrupted):
        second.run()
    third = Workshop(tmp_path / "parts")
    history = third.run()
    assert "resumed from the checkpoint of fine-tuning epoch 1 of 3" in capsys.readouterr().out
    assert [row.epoch for row in history] == [6, 7, 8]
    assert [row.epoch for row in third.rows] == [7, 8]
    assert all(torch.equal(value, whole.weights()[key]) for key, value in third.weights().items())


def test_the_schedule_warms_up_and_ends_at_zero() -> None:
    rates = [_schedule(step / 100) for step in range(101)]
    assert rates[0] < 0.02
    assert max(rates) == pytest.approx(1, abs=0.02)
    assert rates.index(max(rates)) == 10
    assert rates[-1] == pytest.approx(0, abs=1e-9)

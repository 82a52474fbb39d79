import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from contract.metrics import Objective
from contract.search_space import Hyperparameters
from training import head_fitting
from training.debugging import Debugger
from training.features import Features
from training.head_fitting import MOMENTUM, _NesterovSgd, fit_head, is_better, steps_per_epoch
from training.history import Epoch
from training.scores import Score, score
from vision.heads import Head

FeatureMaker = Callable[..., Features]


@pytest.mark.parametrize("batch_size", [16, 64, 256, 1024])
@pytest.mark.parametrize("lr", [0.001, 0.1])
def test_every_corner_of_the_search_space_learns(make_features: FeatureMaker, batch_size: int, lr: float) -> None:
    fit = fit_head(make_features(photos=384), Hyperparameters(lr, batch_size, 5), seed=0)
    assert fit.valid.accuracy > 0.8


def test_the_same_seed_gives_the_same_head(make_features: FeatureMaker) -> None:
    features = make_features(views=2)
    one, same, other = (fit_head(features, Hyperparameters(0.01, 16, 5), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.head.linear.weight, same.head.linear.weight)
    assert not torch.equal(one.head.linear.weight, other.head.linear.weight)


def test_the_score_is_the_true_mean_over_the_validation_set(make_features: FeatureMaker) -> None:
    features = make_features()
    fit = fit_head(features, Hyperparameters(0.01, 16, 5), seed=0)
    with torch.no_grad():
        expected = score(fit.head(features.valid.features[:, 0].float()), features.valid.labels)
    assert fit.valid == expected


def test_the_best_epoch_is_kept(make_features: FeatureMaker) -> None:
    fit = fit_head(make_features(spread=3.0), Hyperparameters(0.1, 16, 10), seed=0)
    best = max(fit.history, key=lambda epoch: (epoch.valid_accuracy, -epoch.valid_loss))
    assert fit.best_epoch == best.epoch
    assert (fit.valid.accuracy, fit.valid.loss) == (best.valid_accuracy, best.valid_loss)


def test_every_epoch_is_reported(make_features: FeatureMaker) -> None:
    seen: list[Epoch] = []
    fit = fit_head(make_features(), Hyperparameters(0.01, 64, 6), seed=0, on_epoch=seen.append)
    assert seen == list(fit.history)
    assert [(row.epoch, row.phase) for row in seen] == [(epoch, "probe") for epoch in range(1, 7)]


@pytest.mark.parametrize(("photos", "batch_size", "steps"), [(384, 1024, 4), (384, 64, 6), (3, 16, 3), (6680, 1024, 7)])
def test_a_small_set_still_gives_a_few_steps(photos: int, batch_size: int, steps: int) -> None:
    assert steps_per_epoch(photos, batch_size) == steps


def test_the_optimizer_is_torchs_sgd_with_a_cosine_schedule() -> None:
    ours, theirs = nn.Linear(4, 3), nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    optimizer = _NesterovSgd(ours, 0.1, 10)
    reference = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=MOMENTUM, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(reference, T_max=10)
    for _ in range(10):
        for layer in (ours, theirs):
            layer.zero_grad()
            layer(inputs).square().mean().backward()
        optimizer.step()
        reference.step()
        schedule.step()
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)


def test_the_closed_form_is_autograd_s_gradient() -> None:
    torch.manual_seed(0)
    head, rows, labels = Head(6, 4), torch.randn(10, 6), torch.randint(4, (10,))
    head.standardise_on(rows)
    torch.nn.init.normal_(head.linear.weight)
    torch.autograd.backward(functional.cross_entropy(head(rows), labels))
    expected = [parameter.grad for parameter in head.linear.parameters()]
    closed = head_fitting._ClosedForm(head)
    logits = closed.compute(closed.prepare(rows), labels)
    assert torch.allclose(logits, head(rows), atol=1e-5)
    for parameter, gradient in zip(head.linear.parameters(), expected, strict=True):
        assert parameter.grad is not None
        assert gradient is not None
        assert torch.allclose(parameter.grad, gradient, atol=1e-6)


def test_a_debugger_sees_every_step_and_changes_nothing(make_features: FeatureMaker) -> None:
    class Recorder(Debugger):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def watch(self, network: nn.Module) -> None:
            self.seen.append(type(network).__name__)

        def begin(self, *, training: bool = True) -> None:
            self.seen.append("train" if training else "evaluate")

        def batch(self, logits: Tensor, labels: Tensor, loss: Tensor | None = None) -> None:
            assert len(logits) == len(labels)

    features, point, recorder = make_features(photos=384), Hyperparameters(0.01, 64, 5), Recorder()
    alone, watched = fit_head(features, point, 3), fit_head(features, point, 3, debugger=recorder)
    assert torch.equal(alone.head.linear.weight, watched.head.linear.weight)
    assert recorder.seen == ["Head", *(["train"] * 6 + ["evaluate"]) * 5]


def test_every_photo_is_trained_on_once_per_epoch(make_features: FeatureMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    features = make_features(photos=301)
    features.train.features.copy_(torch.arange(301).view(-1, 1, 1).expand(-1, 1, 12))
    seen: list[float] = []
    compute = head_fitting._ClosedForm.compute

    def recorded(self: head_fitting._ClosedForm, rows: Tensor, labels: Tensor) -> Tensor:
        seen.extend(rows[:, 0].tolist())
        return compute(self, rows, labels)

    monkeypatch.setattr(head_fitting._ClosedForm, "compute", recorded)
    fit_head(features, Hyperparameters(0.01, 16, 5), seed=0)
    trained_on = seen[:301]
    assert len(set(trained_on)) == 301
    assert trained_on != sorted(trained_on)


def test_every_epoch_shows_another_view_of_a_photo_until_all_were_shown(
    make_features: FeatureMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, views = 20, 3
    features = make_features(photos=photos, views=views)
    numbers = torch.arange(photos * views).view(photos, views, 1)  # photo * 3 + view
    features.train.features.copy_(numbers.expand(-1, -1, 12))
    prepare, seen = head_fitting._ClosedForm.prepare, list[float]()
    epochs: list[list[float]] = []

    def recorded(self: head_fitting._ClosedForm, rows: torch.Tensor) -> torch.Tensor:
        seen.extend(rows[:, 0].tolist())
        return prepare(self, rows)

    def on_epoch(row: Epoch) -> None:
        epochs.append(sorted(seen))
        seen.clear()

    monkeypatch.setattr(head_fitting._ClosedForm, "prepare", recorded)
    fit_head(features, Hyperparameters(0.01, 16, 6), seed=0, on_epoch=on_epoch)
    assert all([number // views for number in epoch] == list(range(photos)) for epoch in epochs)
    for first in (0, 3):
        assert sorted(itertools.chain(*epochs[first : first + views])) == list(range(photos * views))
    assert len({number % views for number in epochs[0]}) == views  # not all photos show the same one at a time


def test_the_objective_decides_which_epoch_is_kept(make_features: FeatureMaker) -> None:
    features, point = make_features(spread=6.0), Hyperparameters(0.1, 16, 10)
    by_loss = fit_head(features, point, seed=0, objective=Objective.LOSS)
    by_accuracy = fit_head(features, point, seed=0)
    assert by_loss.valid.loss == min(row.valid_loss for row in by_loss.history)
    assert by_loss.best_epoch != by_accuracy.best_epoch


def test_equal_accuracies_are_told_apart_by_the_loss_and_no_number_never_wins() -> None:
    assert is_better(Score(0.1, 0.9), Score(0.2, 0.9), Objective.ACCURACY)
    assert is_better(Score(0.1, 0.8), Score(0.2, 0.9), Objective.LOSS)
    assert not is_better(Score(float("nan"), 0.9), Score(0.2, 0.8), Objective.LOSS)
    assert is_better(Score(0.2, 0.8), Score(float("nan"), 0.9), Objective.LOSS)

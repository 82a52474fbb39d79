from collections.abc import Callable

import pytest
import torch
from torch import nn

from contract.search_space import Hyperparameters
from training.features import Features
from training.head_fitting import MOMENTUM, _NesterovSgd, fit_head, steps_per_epoch
from training.history import Epoch
from training.scores import score

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

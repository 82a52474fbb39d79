import math

import pytest
import torch
from torch.nn import functional

from training.scores import RunningScore, Score, score

LOGITS = torch.randn(100, 7, generator=torch.Generator().manual_seed(0))
LABELS = torch.randint(7, (100,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("batch_size", [1, 16, 33, 100])
def test_the_mean_is_the_same_for_every_batch_size(batch_size: int) -> None:
    running = RunningScore()
    for logits, labels in zip(torch.split(LOGITS, batch_size), torch.split(LABELS, batch_size), strict=True):
        running.add(logits, labels, float(functional.cross_entropy(logits, labels)))
    whole = score(LOGITS, LABELS)
    assert running.mean().loss == pytest.approx(whole.loss, rel=1e-5)
    assert running.mean().accuracy == pytest.approx(whole.accuracy)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (Score(2.0, 0.9), Score(1.0, 0.8)),
        (Score(1.0, 0.9), Score(2.0, 0.9)),
        (Score(1.0, 0.1), Score(math.nan, 0.9)),
        (Score(1.0, 0.1), Score(math.inf, 0.9)),
    ],
)
def test_accuracy_decides_then_loss_and_no_number_never_wins(better: Score, worse: Score) -> None:
    assert better.better_than(worse)
    assert not worse.better_than(better)


def test_an_equal_score_is_not_better() -> None:
    assert not Score(1.0, 0.5).better_than(Score(1.0, 0.5))

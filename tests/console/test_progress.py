from dataclasses import replace

from console.progress import Progress
from tests.console.samples import progress, trial


def of_equal_accuracy(**fields: object) -> Progress:
    """Return a tuning of two trials that differ in their learning rates and, unknown here, in their loss."""
    second = replace(trial(2), hyperparameters={"lr": "0.05", "batch-size": "64", "epochs": "5"})
    return progress(90, trials=(trial(1), second), **fields)


def test_of_equal_trials_the_first_is_shown_until_one_is_chosen() -> None:
    running = of_equal_accuracy()
    assert running.best_trial is running.trials[0]


def test_the_trial_that_was_chosen_is_the_best() -> None:
    chosen = {"lr": "0.05", "batch-size": '"64"', "epochs": "5"}
    over = of_equal_accuracy(status="SUCCEEDED", output={"hyperparameters": chosen})
    assert over.best_trial is over.trials[1]


def test_without_trials_none_is_the_best() -> None:
    over = progress(90, status="SUCCEEDED", output={"hyperparameters": {"lr": "0.05"}})
    assert over.best_trial is None

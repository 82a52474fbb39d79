from console.words import best_line, trial_line
from tests.console.samples import trial


def test_the_best_hyperparameters_read_as_a_phrase() -> None:
    values = {"lr": 0.005611516415334507, "batch_size": 16, "epochs": 10}
    assert best_line(values) == "lr 0.00561, batch size 16, 10 epochs"


def test_a_trial_that_was_stopped_early_is_said_to_be() -> None:
    known = "lr 0.0123, batch size 64, 5 epochs"
    assert trial_line(trial(1, "Stopped"), 4) == f"trial 1 of 4: {known}: 90.0 % validation accuracy, stopped early"
    assert trial_line(trial(2, "Completed"), 4) == f"trial 2 of 4: {known}: 90.0 % validation accuracy"
    assert trial_line(trial(3, "Stopped", None), 4) == f"trial 3 of 4: {known}: stopped"

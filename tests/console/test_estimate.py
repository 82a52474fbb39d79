from dataclasses import replace

from console.estimate import step_left, time_left
from contract.names import Step
from tests.console.samples import PREPARING, TRAINING, TUNING, epoch


def test_trials_go_on_at_the_pace_of_those_that_are_over() -> None:
    assert step_left(TUNING) == 20  # 2 of 4 took 20 s


def test_nothing_is_said_before_a_trial_is_over() -> None:
    assert step_left(replace(TUNING, trials=TUNING.trials[2:])) is None


def test_one_epoch_alone_shows_no_pace() -> None:
    assert TRAINING.training is not None
    assert step_left(replace(TRAINING, training=replace(TRAINING.training, epochs=(epoch(1, 60),)))) is None


def test_the_quick_epochs_of_the_head_say_nothing_about_those_of_the_whole_network() -> None:
    assert TRAINING.training is not None
    epochs = (epoch(1, 50), epoch(2, 51), epoch(3, 70))
    training = replace(TRAINING.training, epochs=epochs, head_epochs=2, planned=4)
    assert step_left(replace(TRAINING, training=training)) is None
    training = replace(training, epochs=(*epochs, epoch(4, 78)), planned=6)
    assert step_left(replace(TRAINING, training=training)) == 2 * 8 - 2


def test_the_time_since_the_last_epoch_counts() -> None:
    assert step_left(TRAINING) == 20


def test_a_step_takes_as_long_as_last_time() -> None:
    former = {str(step): 10.0 for step in Step}
    assert time_left(PREPARING, former) == 7 + (len(Step) - 1) * 10


def test_a_step_that_takes_longer_than_last_time_does_not_give_time_back() -> None:
    former = {str(step): 1.0 for step in Step}
    assert time_left(PREPARING, former) == len(Step) - 1


def test_the_whole_is_not_guessed_without_a_former_run() -> None:
    assert time_left(TRAINING, {}) is None


def test_nothing_is_left_after_the_end() -> None:
    assert time_left(replace(TRAINING, status="SUCCEEDED"), {}) == 0

from console.history import History
from console.progress import StepProgress, StepStatus
from contract.names import Step
from tests.console.events import Script, at


def _steps(script: Script, seconds: float, status: str = "RUNNING") -> dict[Step, StepProgress]:
    history = History()
    history.add(script.events)
    return {step.step: step for step in history.steps(at(seconds), status)}


def test_every_step_is_known_from_the_beginning() -> None:
    assert [step.status for step in _steps(Script(), 0).values()] == [StepStatus.WAITING] * len(Step)


def test_a_step_runs_while_one_of_its_states_does() -> None:
    step = _steps(Script().enter(0, "Prepare"), 7)[Step.PREPARE]
    assert (step.status, step.seconds) == (StepStatus.RUNNING, 7)


def test_a_step_takes_the_time_of_all_its_states() -> None:
    script = Script().enter(0, "Prepare: look").leave(1, "Prepare: look").enter(1, "Prepare").leave(5, "Prepare")
    steps = _steps(script.enter(5, "Extract features"), 9)
    assert steps[Step.PREPARE] == StepProgress(Step.PREPARE, StepStatus.DONE, 5)
    assert steps[Step.EXTRACT].seconds == 4


def test_the_detail_of_a_running_state_is_told() -> None:
    assert _steps(Script().enter(0, "Deploy: wait", "Wait"), 1)[Step.DEPLOY].detail == "wait"


def test_a_step_whose_job_was_not_needed_is_reused() -> None:
    script = Script().enter(0, "Prepare: read the earlier result").leave(1, "").enter(1, "Extract features")
    assert _steps(script, 1)[Step.PREPARE].status is StepStatus.REUSED


def test_a_step_that_was_passed_by_is_reused() -> None:
    script = Script().enter(0, "Extract features: look").leave(1, "").enter(1, "Train")
    steps = _steps(script, 2)
    assert steps[Step.TUNE] == StepProgress(Step.TUNE, StepStatus.REUSED, 0)
    assert steps[Step.EXTRACT].status is StepStatus.REUSED


def test_a_state_left_by_a_caught_error_does_not_go_on_forever() -> None:
    script = Script().enter(0, "Prepare: look").enter(2, "Prepare")
    assert _steps(script, 3)[Step.PREPARE].seconds == 3


def test_the_step_of_a_failed_execution_has_failed() -> None:
    script = Script().enter(0, "Prepare").leave(4, "").enter(4, "Tune").enter(6, "Failed", "Fail").end(6, "Failed")
    steps = _steps(script, 6, "FAILED")
    assert steps[Step.PREPARE].status is StepStatus.DONE
    assert (steps[Step.TUNE].status, steps[Step.TUNE].seconds) == (StepStatus.FAILED, 2)
    assert steps[Step.TRAIN].status is StepStatus.WAITING


def test_after_success_every_step_is_done() -> None:
    script = Script()
    for number, step in enumerate(Step):
        script.enter(number, str(step)).leave(number + 1, str(step))
    assert {step.status for step in _steps(script.end(9), 9, "SUCCEEDED").values()} == {StepStatus.DONE}


def test_states_of_no_step_are_ignored() -> None:
    assert _steps(Script().enter(0, "Something else"), 1)[Step.PREPARE].status is StepStatus.WAITING


def test_events_may_come_twice_and_in_any_order() -> None:
    history = History()
    events = Script().enter(0, "Prepare").leave(2, "Prepare").enter(2, "Tune").events
    history.add(reversed(events[:2]))
    history.add(reversed(events))
    assert [visit.state for visit in history.visits] == ["Prepare", "Tune"]
    assert history.last_id == 3


def test_the_jobs_of_the_steps_are_named() -> None:
    script = Script().enter(0, "Tune").submit(1, "HyperParameterTuningJob", "tuning").leave(2, "Tune")
    history = History()
    history.add(script.enter(2, "Train").submit(3, "TrainingJob", "training").events)
    assert history.jobs == {Step.TUNE: "tuning", Step.TRAIN: "training"}

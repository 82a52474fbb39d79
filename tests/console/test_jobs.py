"""The one job that runs all trials, as its log tells of them."""

from typing import Any

from botocore.stub import ANY

from console.history import History
from console.jobs import SweepWatch
from contract.trials import COMPLETED, TrialResult
from tests.console.events import Script, at
from tests.console.fakes import FakeCloud

JOB = "pedigree-dev-tune-1"


def trial(number: int, accuracy: float | None) -> TrialResult:
    return TrialResult(f"trial-00{number}", COMPLETED, accuracy, 0.3, {"lr": "0.01", "batch-size": "64", "epochs": "5"})


def _log(cloud: FakeCloud, token: str, *lines: str) -> None:
    logs = cloud.stub("logs")
    stream = f"{JOB}/algo-1-1"
    logs.add_response("describe_log_streams", {"logStreams": [{"logStreamName": stream}]})
    events = [{"timestamp": int(at(1).timestamp() * 1000), "message": line} for line in lines]
    asked: dict[str, Any] = {"logGroupName": ANY, "logStreamName": stream, "startFromHead": True}
    first = {"nextToken": token} if token else {}
    logs.add_response("get_log_events", {"events": events, "nextForwardToken": "f/2"}, asked | first)
    if token != "f/2":
        logs.add_response("get_log_events", {"events": [], "nextForwardToken": "f/2"}, asked | {"nextToken": "f/2"})


def test_trials_are_read_from_the_log_as_they_end(cloud: FakeCloud) -> None:
    watch = SweepWatch(cloud, JOB)
    _log(cloud, "", "loading", trial(1, 0.9).line(3))
    watch.poll()
    assert [(one.number, one.objective) for one in watch.trials] == [(1, 0.9)]
    assert watch.planned == 3
    _log(cloud, "f/2", trial(2, None).line(3))
    watch.poll()
    assert [(one.number, one.objective) for one in watch.trials] == [(1, 0.9), (2, None)]
    cloud.stub("logs").assert_no_pending_responses()


def test_a_job_without_a_log_has_no_trials_yet(cloud: FakeCloud) -> None:
    cloud.stub("logs").add_client_error("describe_log_streams", "ResourceNotFoundException")
    watch = SweepWatch(cloud, JOB)
    watch.poll()
    assert watch.trials == ()


def test_the_history_knows_whether_the_tuner_or_one_job_runs_the_trials() -> None:
    for kind, is_swept in (("TrainingJob", True), ("HyperParameterTuningJob", False)):
        history = History()
        history.add(Script().enter(4, "Tune").submit(5, kind, "tuning").events)
        assert history.is_swept is is_swept

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import ANY

from console import watch as watching
from console.errors import ConsoleError
from console.progress import Progress, StepStatus
from console.watch import Watch, follow
from contract.metrics import TRAIN_ACCURACY, TRAIN_LOSS, VALID_ACCURACY, VALID_LOSS
from contract.names import Step
from tests.console.events import START, Script, at
from tests.console.fakes import FakeCloud

ARN = "arn:aws:states:us-east-1:000000000000:execution:machine:run-1"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_REFRESH_SECONDS", 0.0)


class Recorder:
    """A display that remembers."""

    def __init__(self) -> None:
        self.seen: list[Progress] = []

    def update(self, progress: Progress) -> None:
        self.seen.append(progress)

    def tick(self) -> None:
        pass


def _look(cloud: FakeCloud, script: Script, status: str = "RUNNING", **more: Any) -> None:
    """Script one look at the execution."""
    states = cloud.stub("stepfunctions")
    execution = {"executionArn": ARN, "stateMachineArn": "arn", "name": "run-1", "status": status, "startDate": START}
    states.add_response("describe_execution", execution | more, {"executionArn": ARN})
    states.add_response("get_execution_history", {"events": list(reversed(script.events))})


def _trial(number: int, status: str, accuracy: float | None = None) -> dict[str, Any]:
    metric = {"MetricName": "final:valid_accuracy", "Value": accuracy}
    return {
        "TrainingJobName": f"trial-{number}",
        "TrainingJobArn": f"arn:aws:sagemaker:us-east-1:000000000000:training-job/trial-{number}",
        "CreationTime": at(number),
        "TrainingJobStatus": status,
        "TunedHyperParameters": {"lr": "0.01", "batch-size": '"64"', "epochs": "5"},
        "ObjectiveStatus": "Succeeded",
    } | ({"FinalHyperParameterTuningJobObjectiveMetric": metric} if accuracy is not None else {})


def _tuning(cloud: FakeCloud, *trials: dict[str, Any], describe: bool = False) -> None:
    sagemaker = cloud.stub("sagemaker")
    if describe:
        sagemaker.add_response(
            "describe_hyper_parameter_tuning_job",
            {
                "HyperParameterTuningJobName": "tuning",
                "HyperParameterTuningJobArn": "arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/t",
                "HyperParameterTuningJobConfig": {
                    "Strategy": "Bayesian",
                    "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2},
                },
                "HyperParameterTuningJobStatus": "InProgress",
                "CreationTime": START,
                "TrainingJobStatusCounters": {},
                "ObjectiveStatusCounters": {},
            },
            {"HyperParameterTuningJobName": "tuning"},
        )
    sagemaker.add_response("list_training_jobs_for_hyper_parameter_tuning_job", {"TrainingJobSummaries": list(trials)})


def _training(cloud: FakeCloud, status: str, secondary: str, *lines: str, token: str = "") -> None:
    cloud.stub("sagemaker").add_response(
        "describe_training_job",
        {
            "TrainingJobName": "training",
            "TrainingJobArn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/training",
            "ModelArtifacts": {"S3ModelArtifacts": "s3://b/k"},
            "TrainingJobStatus": status,
            "SecondaryStatus": secondary,
            "StoppingCondition": {},
            "CreationTime": START,
            "HyperParameters": {"lr": "0.01", "epochs": "5", "fine-tune-epochs": "3"},
        },
    )
    logs = cloud.stub("logs")
    stream = "training/algo-1-1"
    logs.add_response("describe_log_streams", {"logStreams": [{"logStreamName": stream}]})
    events = [
        {"timestamp": int(at(60 + number).timestamp() * 1000), "message": line} for number, line in enumerate(lines)
    ]
    first = {"nextToken": token} if token else {}
    asked = {"logGroupName": ANY, "logStreamName": stream, "startFromHead": True}
    logs.add_response("get_log_events", {"events": events, "nextForwardToken": "f/2"}, asked | first)
    if token != "f/2":
        logs.add_response("get_log_events", {"events": [], "nextForwardToken": "f/2"}, asked | {"nextToken": "f/2"})


def _epoch(number: int) -> list[str]:
    values = ((TRAIN_LOSS, 0.5), (TRAIN_ACCURACY, 0.8), (VALID_LOSS, 0.6), (VALID_ACCURACY, 0.75))
    return [metric.line(value, number) for metric, value in values]


def _whole(cloud: FakeCloud) -> Script:
    """Script an execution from its start to its success, seen in four looks."""
    script = Script().enter(0, "Prepare")
    _look(cloud, script)
    script.leave(4, "Prepare").enter(4, "Tune").submit(5, "HyperParameterTuningJob", "tuning")
    _look(cloud, script)
    _tuning(cloud, _trial(1, "Completed", 0.9), _trial(2, "InProgress"), describe=True)
    script.leave(30, "Tune").enter(30, "Train").submit(31, "TrainingJob", "training")
    _look(cloud, script)
    _tuning(cloud, _trial(1, "Completed", 0.9), _trial(2, "Completed", 0.8))
    _training(cloud, "InProgress", "Training", "epoch 1", *_epoch(1))
    script.leave(90, "Train").enter(90, "Smoke test").leave(91, "Smoke test").end(91)
    _look(cloud, script, "SUCCEEDED", output=json.dumps({"resumed": False}), stopDate=at(91))
    _training(cloud, "Completed", "Completed", *_epoch(2), token="f/2")
    return script


@pytest.fixture
def seen(cloud: FakeCloud) -> Iterator[list[Progress]]:
    _whole(cloud)
    recorder = Recorder()
    follow(Watch(cloud, ARN), recorder, cloud)
    yield recorder.seen
    for stub in cloud.stubs.values():
        stub.assert_no_pending_responses()


def test_an_execution_is_followed_to_its_end(seen: list[Progress]) -> None:
    assert [progress.status for progress in seen] == ["RUNNING", "RUNNING", "RUNNING", "SUCCEEDED"]
    assert seen[-1].output == {"resumed": False}
    assert seen[-1].seconds == 91


def test_trials_are_read_while_the_tuning_runs(seen: list[Progress]) -> None:
    progress = seen[1]
    assert progress.trials_planned == 4
    assert [trial.status for trial in progress.trials] == ["Completed", "InProgress"]
    assert progress.trials[0].hyperparameters["batch-size"] == "64"
    assert progress.best_trial is progress.trials[0]


def test_the_last_trials_are_not_missed_when_the_training_begins(seen: list[Progress]) -> None:
    assert [trial.status for trial in seen[2].trials] == ["Completed", "Completed"]


def test_epochs_are_read_from_the_log_without_reading_it_again(seen: list[Progress]) -> None:
    assert seen[2].training is not None
    assert seen[3].training is not None
    assert [epoch.number for epoch in seen[2].training.epochs] == [1]
    assert [epoch.number for epoch in seen[3].training.epochs] == [1, 2]
    assert seen[3].training.epochs[0].values[VALID_ACCURACY.name] == 0.75
    assert seen[3].training.planned == 5 + 3
    assert seen[3].training.head_epochs == 5


def test_a_failed_execution_brings_its_cause(cloud: FakeCloud) -> None:
    script = Script().enter(0, "Prepare").enter(3, "Failed", "Fail").end(3, "Failed")
    _look(cloud, script, "FAILED", error="Pedigree.Prepare", cause="Prepare: class b holds no photos", stopDate=at(3))
    progress = follow(Watch(cloud, ARN), Recorder(), cloud)
    assert progress.cause == "Prepare: class b holds no photos"
    assert progress.failed is not None
    assert progress.failed.step is Step.PREPARE


def test_a_long_history_is_read_page_by_page_and_only_as_far_as_needed(cloud: FakeCloud) -> None:
    events = Script().enter(0, "Prepare").leave(1, "Prepare").enter(1, "Tune").leave(2, "Tune").enter(2, "Train").events
    states = cloud.stub("stepfunctions")
    execution = {"executionArn": ARN, "stateMachineArn": "arn", "name": "r", "status": "RUNNING", "startDate": START}
    asked = {"executionArn": ARN, "reverseOrder": True, "maxResults": ANY, "includeExecutionData": True}
    states.add_response("describe_execution", execution)
    states.add_response("get_execution_history", {"events": events[:1:-1], "nextToken": "older"}, asked)
    states.add_response("get_execution_history", {"events": events[1::-1]}, asked | {"nextToken": "older"})
    later = Script()
    later.events = list(events)
    later.leave(3, "Train")
    states.add_response("describe_execution", execution)
    states.add_response("get_execution_history", {"events": later.events[::-1], "nextToken": "older"}, asked)
    watch = Watch(cloud, ARN)
    assert watch.poll().steps[3].status is StepStatus.RUNNING
    watch.poll()
    states.assert_no_pending_responses()


def test_a_short_silence_of_the_cloud_is_borne(cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(cloud, ARN)
    answers: list[Any] = [EndpointConnectionError(endpoint_url="u"), _progress("SUCCEEDED")]
    monkeypatch.setattr(watch, "poll", lambda: _next(answers))
    assert follow(watch, Recorder(), cloud).status == "SUCCEEDED"


def test_a_long_silence_ends_the_watching(cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE_SECONDS", -1.0)
    watch = Watch(cloud, ARN)
    monkeypatch.setattr(watch, "poll", lambda: _next([EndpointConnectionError(endpoint_url="u")]))
    with pytest.raises(ConsoleError, match="does not answer any more"):
        follow(watch, Recorder(), cloud)


def test_a_refusal_ends_the_watching_at_once(cloud: FakeCloud) -> None:
    cloud.stub("stepfunctions").add_client_error("describe_execution", "ExpiredTokenException", "the token has expired")
    with pytest.raises(ConsoleError, match="the token has expired"):
        follow(Watch(cloud, ARN), Recorder(), cloud)


def test_a_cloud_that_has_ended_is_not_waited_for(cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended() -> None:
        raise ConsoleError("The local cloud has ended.")

    monkeypatch.setattr(cloud, "check_alive", ended)
    watch = Watch(cloud, ARN)
    monkeypatch.setattr(watch, "poll", lambda: _next([EndpointConnectionError(endpoint_url="u")]))
    with pytest.raises(ConsoleError, match="has ended"):
        follow(watch, Recorder(), cloud)


def _next(answers: list[Any]) -> Any:
    answer = answers.pop(0)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _progress(status: str) -> Progress:
    return Progress(status=status, started=START, now=START + timedelta(seconds=1), steps=())

"""What an execution takes over from earlier ones: prepared photos, and a tuning whose training died."""

from typing import Any

import pytest

from infra.settings import Dataset, Defaults, Settings
from tests.infra.fake_aws import SUMMARY, FakeAws
from tests.infra.machine import Execution, TaskError
from tests.infra.running import jobs, run, start


def test_the_same_content_addressed_source_is_prepared_once(aws: FakeAws) -> None:
    first = run(aws, {"source": "s3://b/x.zip", "source_fingerprint": "abc"})
    second = run(aws, {"source": "s3://b/x.zip", "source_fingerprint": "abc"})
    assert jobs(aws).count("prepare") == 1
    assert second.output["prepared_uri"] == first.output["prepared_uri"]
    assert second.output["data"] == SUMMARY


def test_the_drawn_photos_are_prepared_once(aws: FakeAws) -> None:
    run(aws)
    run(aws)
    assert jobs(aws).count("prepare") == 1


@pytest.mark.parametrize("change", [{"source_fingerprint": "def"}, {"seed": 1}])
def test_another_source_or_seed_is_prepared_anew(aws: FakeAws, change: dict[str, Any]) -> None:
    given = {"source": "s3://b/x.zip", "source_fingerprint": "abc", "seed": 0}
    run(aws, given)
    run(aws, given | change)
    assert jobs(aws).count("prepare") == 2


def test_photos_are_prepared_anew_where_they_are_to_be_kept_another_way(aws: FakeAws) -> None:
    run(aws)
    run(aws, settings=Settings(image="x", defaults=Defaults(source="toy"), dataset=Dataset(shard_photos=500)))
    assert jobs(aws).count("prepare") == 2


def test_a_source_without_a_fingerprint_is_prepared_every_time(aws: FakeAws) -> None:
    for _ in range(2):
        run(aws, {"source": "https://example.com/dogs.zip"})
    assert jobs(aws).count("prepare") == 2


def test_prepared_photos_that_were_deleted_are_prepared_again(aws: FakeAws) -> None:
    run(aws)
    for key in [key for key in aws.objects if key.startswith("prepared/")]:
        del aws.objects[key]
    assert run(aws).status == "SUCCEEDED"
    assert jobs(aws).count("prepare") == 2


def _kill_training(aws: FakeAws) -> Execution:
    reason = {"TrainingJobName": "x", "TrainingJobStatus": "Failed", "FailureReason": "killed by SIGKILL (signal 9)"}
    aws.failures["train"] = TaskError("States.TaskFailed", reason)
    execution = run(aws)
    del aws.failures["train"]
    return execution


def test_a_training_that_died_is_taken_up_by_the_next_execution(aws: FakeAws) -> None:
    failed = _kill_training(aws)
    assert (failed.error, failed.cause) == ("Pedigree.Train", "Train: killed by SIGKILL (signal 9)")
    resumed = run(aws)
    assert resumed.status == "SUCCEEDED"
    assert resumed.output["resumed"] is True
    assert jobs(aws) == ["prepare", "features", "train", "train"]
    assert aws.calls.count("createHyperParameterTuningJob") == 1
    first, second = aws.requests["createTrainingJob"][-2:]
    assert first["CheckpointConfig"] == second["CheckpointConfig"]
    assert first["TrainingJobName"] != second["TrainingJobName"]
    assert first["HyperParameters"] == second["HyperParameters"]
    assert first["InputDataConfig"] == second["InputDataConfig"]


def test_a_resumed_training_that_dies_again_can_be_resumed_again(aws: FakeAws) -> None:
    _kill_training(aws)
    _kill_training(aws)
    assert run(aws).output["resumed"] is True
    assert len({r["CheckpointConfig"]["S3Uri"] for r in aws.requests["createTrainingJob"][-3:]}) == 1


@pytest.mark.parametrize("change", [{"trials": 9}, {"seed": 1}, {"backbone": "resnet50"}, {"epochs": 1}])
def test_another_input_does_not_resume(aws: FakeAws, change: dict[str, Any]) -> None:
    _kill_training(aws)
    assert run(aws, change).output["resumed"] is False


def test_nothing_is_resumed_after_a_training_that_succeeded(aws: FakeAws) -> None:
    run(aws)
    assert not [key for key in aws.objects if key.startswith("resume/")]
    assert run(aws).output["resumed"] is False


def test_what_a_running_execution_is_training_is_not_taken_up(aws: FakeAws) -> None:
    first, steps = start(aws)
    for left in steps:
        if left == "Tune: write down where to resume":
            break
    second = run(aws)
    assert second.output["resumed"] is False
    assert list(steps)
    assert (first.status, second.status) == ("SUCCEEDED", "SUCCEEDED")
    assert (
        len(
            {
                r["CheckpointConfig"]["S3Uri"]
                for r in aws.requests["createTrainingJob"]
                if "-train-" in r["TrainingJobName"]
            }
        )
        == 2
    )


def test_of_two_executions_one_takes_up_what_a_third_left(aws: FakeAws) -> None:
    _kill_training(aws)
    running = [start(aws), start(aws)]
    while any(execution.status == "RUNNING" for execution, _ in running):
        for _, steps in running:
            next(steps, None)
    assert [execution.status for execution, _ in running] == ["SUCCEEDED", "SUCCEEDED"]
    assert sorted(execution.output["resumed"] for execution, _ in running) == [False, True]

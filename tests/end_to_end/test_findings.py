"""What the rules find, from a training on the local cloud to an execution's cause; its tensors, read from S3."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.metrics import FINAL_ERRORS, FINAL_WARNINGS
from contract.names import FOUND_FILE, TENSORS
from tests.end_to_end.checkout import copy_checkout
from tests.end_to_end.local_stage import LocalStage, add_stage, running_stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

STAGE = "rules"
_DIVERGES = "\nBACKBONE_LR.update(dict.fromkeys(BACKBONE_LR, 1000.0))\n"
# What somebody types who wants to look at a training's tensors: smdebug asks S3 by the AWS_* variables.
_READ = """
import json, sys
from smdebug import modes
from smdebug.trials import create_trial
trial = create_trial(sys.argv[1])
loss = trial.tensor("CrossEntropyLoss_output_0")
print(json.dumps({"names": trial.tensor_names(), "losses": [float(loss.value(step, mode=modes.TRAIN)) for step in
    loss.steps(mode=modes.TRAIN)]}))
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStage]:
    checkout = copy_checkout(tmp_path_factory.mktemp("findings") / "pedigree")
    add_stage(checkout, STAGE, training={"fine_tune_batch": 8}, gate={"minimum_accuracy": 0.0})
    with running_stage(checkout, STAGE) as running:
        yield running


@pytest.fixture(scope="module")
def given(stage: LocalStage, photos: Path) -> dict[str, Any]:
    return {"source": stage.upload(photos), "trials": 1, "epochs": 2}


@pytest.fixture(scope="module")
def good(stage: LocalStage, given: dict[str, Any]) -> dict[str, Any]:
    """What an execution answers that went through."""
    ended = stage.wait(stage.start("good", **given))
    assert ended["status"] == "SUCCEEDED", ended
    output: dict[str, Any] = json.loads(ended["output"])
    return output


def _job(stage: LocalStage, name: str) -> dict[str, Any]:
    described: dict[str, Any] = stage.client("sagemaker").describe_training_job(TrainingJobName=name)
    return described


def _kept(job: dict[str, Any]) -> str:
    return str(job["CheckpointConfig"]["S3Uri"]).rstrip("/")


def test_an_execution_answers_what_the_rules_found_and_the_registry_counts_it(
    stage: LocalStage, good: dict[str, Any]
) -> None:
    assert good["findings"].keys() == {"errors", "warnings"}
    assert good["findings"]["errors"] == []
    sagemaker = stage.client("sagemaker")
    package = sagemaker.describe_model_package(ModelPackageName=good["model_package_arn"])
    known = package["CustomerMetadataProperties"]
    assert float(known[FINAL_ERRORS.name]) == 0
    assert float(known[FINAL_WARNINGS.name]) == len(good["findings"]["warnings"])


def test_smdebug_reads_the_saved_tensors_from_s3(stage: LocalStage, good: dict[str, Any]) -> None:
    job = _job(stage, good["training_job_name"])
    where = f"{_kept(job)}/{TENSORS}/{job['TrainingJobName']}"
    done = subprocess.run(
        [sys.executable, "-c", _READ, where],
        env={**stage.checkout.environment, **stage.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout.splitlines()[-1])
    assert {"labels", "predictions"} <= set(read["names"])
    assert len(read["losses"]) > 2


def test_a_training_with_a_learning_rate_of_1000_is_stopped_with_the_rules_reason(
    stage: LocalStage, good: dict[str, Any]
) -> None:
    sagemaker, former = stage.client("sagemaker"), _job(stage, good["training_job_name"])
    members = sagemaker.meta.service_model.operation_model("CreateTrainingJob").input_shape.members
    name = f"{stage.prefix}-train-diverges"
    request = {key: value for key, value in former.items() if key in members}
    request |= {"TrainingJobName": name, "CheckpointConfig": {"S3Uri": f"{_kept(former)}-diverges/"}}
    request["HyperParameters"] = {**former["HyperParameters"], "backbone-lr": "1000"}
    sagemaker.create_training_job(**request)
    deadline = time.monotonic() + 300
    while (job := _job(stage, name))["TrainingJobStatus"] == "InProgress":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert job["TrainingJobStatus"] == "Failed"
    reason = job["FailureReason"].partition("StoppedByRuleError: ")[2]
    assert " at step " in reason, job["FailureReason"]
    errors = json.loads(_read(stage, f"{_kept(job)}/{FOUND_FILE}"))["errors"]
    assert reason.partition(" at step ")[0] in {error.partition(" at step ")[0] for error in errors}


def _read(stage: LocalStage, uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body: bytes = stage.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def test_an_execution_whose_training_diverges_ends_in_the_rules_words(stage: LocalStage, given: dict[str, Any]) -> None:
    source = stage.checkout.root / "training" / "fine_tuning.py"
    source.write_text(source.read_text("utf-8") + _DIVERGES, "utf-8")
    stage.pedigree("deploy")
    ended = stage.wait(stage.start("diverges", **given))
    assert (ended["status"], ended["error"]) == ("FAILED", "Pedigree.Train")
    assert " at step " in ended["cause"]

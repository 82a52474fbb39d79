"""Executions of the definition against a scripted AWS: what is asked for, and what comes out."""

import json
from typing import Any

import pytest

from contract.names import Step
from contract.search_space import parse_hyperparameters
from infra.settings import Defaults, Job, Jobs, Settings, Tuning
from infra.state_machine.definition import definition
from infra.state_machine.facts import Facts
from tests.infra.fake_aws import SUMMARY, FakeAws
from tests.infra.machine import Machine
from tests.infra.running import TEST, VALID, jobs, run


def test_an_execution_of_every_stage_ends_with_a_deployed_model(facts: Facts, aws: FakeAws) -> None:
    execution = Machine(definition(facts), aws.tasks()).run()
    assert execution.status == "SUCCEEDED", execution.cause
    assert jobs(aws) == ["prepare", "features", "train"]
    visited = list(dict.fromkeys(name.split(": ")[0] for name in execution.path))
    assert visited == [str(step) for step in Step]


def test_the_output_says_everything_that_was_agreed(aws: FakeAws) -> None:
    output = run(aws).output
    assert output["fingerprint"] == SUMMARY["fingerprint"]
    assert output["data"] == SUMMARY
    assert output["metrics"] == {VALID: 0.91, TEST: 0.9}
    assert output["hyperparameters"] == {"lr": "0.02", "batch-size": "64", "epochs": "7"}
    assert output["model_uri"].endswith("/output/model.tar.gz")
    assert output["output_uri"] == output["model_uri"].replace("model.tar.gz", "output.tar.gz")
    assert output["prepared_uri"].startswith("s3://bucket/prepared/pedigree-dev-prepare-")
    assert output["features_uri"].startswith("s3://bucket/features/pedigree-dev-features-")
    assert output["sample"] == aws.sample
    assert output["resumed"] is False
    assert output["notice_not_sent"] == ""
    assert output["endpoint_name"] == "pedigree-dev"
    assert output["api_url"] == "https://api.example.com/v1"
    assert output["tuning_job_name"].startswith("pedigree-dev-")
    assert output["training_job_name"].startswith("pedigree-dev-train-")


def test_requests_fit_sagemaker_for_the_longest_stage_name(aws: FakeAws) -> None:
    assert run(aws, settings=Settings(stage="a" * 10, image="x")).status == "SUCCEEDED"


def test_an_output_of_a_hundred_trials_is_far_below_the_payload_limit(aws: FakeAws) -> None:
    execution = run(aws, {"trials": 100})
    assert len(json.dumps(execution.output)) < 16 * 1024


def test_the_best_hyperparameters_reach_the_training(aws: FakeAws) -> None:
    run(aws, {"seed": 7})
    train = aws.requests["createTrainingJob"][-1]["HyperParameters"]
    assert parse_hyperparameters(train).lr == 0.02
    assert train["seed"] == "7"
    assert train["sagemaker_program"] == "training/train_model.py"
    assert "fine-tune-epochs" not in train


@pytest.mark.parametrize("epochs", [0, 3])
def test_given_epochs_are_those_of_the_fine_tuning(aws: FakeAws, epochs: int) -> None:
    run(aws, {"epochs": epochs})
    assert aws.requests["createTrainingJob"][-1]["HyperParameters"]["fine-tune-epochs"] == str(epochs)


def test_the_stage_s_epochs_hold_where_the_input_gives_none(aws: FakeAws) -> None:
    run(aws, {"epochs": None}, Settings(image="x", defaults=Defaults(epochs=2)))
    assert aws.requests["createTrainingJob"][-1]["HyperParameters"]["fine-tune-epochs"] == "2"


def test_not_more_trials_run_at_a_time_than_there_are(aws: FakeAws) -> None:
    run(aws)
    limits = aws.requests["createHyperParameterTuningJob"][0]["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert limits == {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 3}


def test_a_spot_job_waits_at_least_as_long_as_it_may_run(aws: FakeAws) -> None:
    spot = Job(instance_type="ml.g4dn.xlarge", spot=True, max_runtime_seconds=600, spot_wait_seconds=60)
    run(aws, settings=Settings(image="x", jobs=Jobs(train=spot)))
    train = aws.requests["createTrainingJob"][-1]
    assert train["EnableManagedSpotTraining"] is True
    assert train["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 660}
    assert train["CheckpointConfig"]["S3Uri"].startswith("s3://bucket/checkpoints/")


def test_an_interrupted_extraction_goes_on_from_a_place_of_its_own(aws: FakeAws) -> None:
    run(aws)
    extract, train = (
        request["CheckpointConfig"]["S3Uri"]
        for request in aws.requests["createTrainingJob"]
        if "CheckpointConfig" in request
    )
    assert extract.startswith("s3://bucket/checkpoints/")
    assert extract.endswith("-features/")
    assert not extract.startswith(train)


def test_the_stages_views_and_the_seed_reach_the_extraction(aws: FakeAws) -> None:
    run(aws, settings=Settings(image="x", tuning=Tuning(views=4)))
    (sent,) = (
        request["HyperParameters"]
        for request in aws.requests["createTrainingJob"]
        if request["HyperParameters"]["sagemaker_program"] == "training/extract_features.py"
    )
    assert sent["views"] == "4"
    assert sent["seed"].isdecimal()


def test_tuning_json_holds_the_trials_and_is_a_channel_of_the_training(aws: FakeAws) -> None:
    run(aws)
    (key,) = [key for key in aws.objects if key.startswith("tuning/")]
    record = aws.objects[key]
    assert record["trials"] == [
        {
            "name": "t-001",
            "status": "Completed",
            "objective": 0.9,
            "loss": 0.3,
            "hyperparameters": {"lr": "0.02", "batch-size": "64", "epochs": "7"},
        }
    ]
    assert record.keys() == {"tuning_job_name", "hyperparameters", "trials", "features_uri"}
    channels = {c["ChannelName"]: c for c in aws.requests["createTrainingJob"][-1]["InputDataConfig"]}
    assert channels["tuning"]["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://bucket/{key}"
    assert channels.keys() == {"prepared", "features", "tuning"}


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"trials": 0}, '"trials" must be a whole number from 1 to 100, got 0'),
        ({"trials": 2.5}, "got 2.5"),
        ({"trials": "4"}, "got 4"),
        ({"backbone": "vgg16"}, "must be one of auto, resnet50, efficientnet_lite0, got vgg16"),
        ({"source": ""}, '"source" must be "toy"'),
        ({"source": 3}, "got 3"),
        ({"seed": -1}, '"seed" must be a whole number from 0, got -1'),
        ({"epochs": 1.5}, '"epochs" must be a whole number from 0, got 1.5'),
        ({"epochs": -1}, "got -1"),
    ],
)
def test_a_wrong_input_is_refused_before_anything_is_started(aws: FakeAws, given: dict[str, Any], part: str) -> None:
    execution = run(aws, given)
    assert (execution.status, execution.error) == ("FAILED", "Pedigree.Prepare")
    assert part in execution.cause
    assert not aws.calls

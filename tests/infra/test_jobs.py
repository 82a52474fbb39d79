"""What the jobs' requests say beyond the program: key, network, warm pools, debugger, early stopping."""

import json
from collections.abc import Iterator
from importlib.metadata import files
from typing import Any

import pytest

from contract.names import Step
from infra.checks import SettingsError
from infra.debugger_image import REGISTRIES
from infra.settings import Answers, Dataset, Defaults, Job, Jobs, Network, Settings, Tuning
from infra.state_machine.debugger import managed_debugging
from infra.state_machine.facts import Facts
from tests.infra.fake_aws import FakeAws, check_request
from tests.infra.machine import Execution, Task
from tests.infra.running import facts_of
from tests.infra.running import run as run_settings

KEY = "arn:aws:kms:us-east-1:123456789012:key/0123"
NETWORK = Network(subnets=("subnet-0a1b2c3d", "subnet-1a1b2c3d"), security_groups=("sg-0a1b2c3d",))
DISKS = Job(instance_type="ml.g4dn.xlarge")
VOLUME = Job(instance_type="ml.m5.large")
ISOLATED = Settings(image="x", defaults=Defaults(source="toy"), network=Network(isolation=True))


def run(aws: FakeAws, settings: Settings, given: dict[str, Any] | None = None) -> Execution:
    """Run one execution, which must succeed."""
    execution = run_settings(aws, given, settings)
    assert execution.status == "SUCCEEDED", execution.cause
    return execution


def definitions(aws: FakeAws) -> Iterator[dict[str, Any]]:
    """Return every job's request, and the tuning job's definition of its trials."""
    yield from aws.requests["createTrainingJob"]
    for tuning in aws.requests["createHyperParameterTuningJob"]:
        yield tuning["TrainingJobDefinition"]


def by_step(aws: FakeAws) -> dict[str, dict[str, Any]]:
    """Return each step's request: prepare, features, tune (a trial), train."""
    made = {request["TrainingJobName"].split("-")[2]: request for request in aws.requests["createTrainingJob"]}
    return made | {"tune": aws.requests["createHyperParameterTuningJob"][0]["TrainingJobDefinition"]}


def channels(request: dict[str, Any]) -> dict[str, str]:
    """Return channel -> S3 URI."""
    given = request.get("InputDataConfig", [])
    return {channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in given}


class BucketAws(FakeAws):
    """Answers which objects stand below a prefix."""

    def tasks(self) -> dict[str, Task]:
        """Add the listing."""

        def found(request: Any) -> Any:
            keys = [key for key in self.objects if key.startswith(request["Prefix"])][: request["MaxKeys"]]
            return {"KeyCount": len(keys)} | ({"Contents": [{"Key": key} for key in keys]} if keys else {})

        return super().tasks() | {"aws-sdk:s3:listObjectsV2": found}


@pytest.fixture
def bucket() -> BucketAws:
    return BucketAws()


def test_nothing_is_said_of_keys_networks_and_debuggers_that_the_settings_do_not_want(aws: FakeAws) -> None:
    run(aws, Settings(image="x"))
    for request in definitions(aws):
        assert request["EnableNetworkIsolation"] is False
        assert "KmsKeyId" not in request["OutputDataConfig"]
        assert request["ResourceConfig"].keys() == {"InstanceType", "InstanceCount", "VolumeSizeInGB"}
        assert not {key for key in request if key.startswith(("Vpc", "Debug", "Profiler"))}


def test_the_stage_s_key_encrypts_every_output(aws: FakeAws) -> None:
    run(aws, Settings(image="x", customer_key=True))
    assert {request["OutputDataConfig"]["KmsKeyId"] for request in definitions(aws)} == {KEY}


def test_the_key_encrypts_volumes_but_no_disks_of_the_instance_s_own(aws: FakeAws) -> None:
    run(aws, Settings(image="x", customer_key=True, jobs=Jobs(prepare=VOLUME, extract=DISKS, tune=VOLUME, train=DISKS)))
    keys = {step: request["ResourceConfig"].get("VolumeKmsKeyId") for step, request in by_step(aws).items()}
    assert keys == {"prepare": KEY, "features": None, "tune": KEY, "train": None}


def test_every_job_stands_in_the_vpc(aws: FakeAws) -> None:
    run(aws, Settings(image="x", network=NETWORK))
    placed = {"Subnets": ["subnet-0a1b2c3d", "subnet-1a1b2c3d"], "SecurityGroupIds": ["sg-0a1b2c3d"]}
    for request in definitions(aws):
        assert request["VpcConfig"] == placed


def test_a_warm_pool_is_kept_for_whichever_job_the_settings_name(aws: FakeAws) -> None:
    run(aws, Settings(image="x", jobs=Jobs(extract=Job(keep_alive_seconds=600))))
    kept = {s: request["ResourceConfig"].get("KeepAlivePeriodInSeconds") for s, request in by_step(aws).items()}
    assert kept == {"prepare": None, "features": 600, "tune": None, "train": None}


@pytest.mark.parametrize(("wanted", "said"), [(True, "Auto"), (False, "Off")])
def test_trials_are_stopped_early_where_the_settings_want_it(aws: FakeAws, wanted: bool, said: str) -> None:
    run(aws, Settings(image="x", tuning=Tuning(early_stopping=wanted)))
    config = aws.requests["createHyperParameterTuningJob"][0]["HyperParameterTuningJobConfig"]
    assert config["TrainingJobEarlyStoppingType"] == said


def test_every_job_runs_where_and_as_long_as_the_settings_say(aws: FakeAws) -> None:
    jobs = {
        "prepare": Job(instance_type="ml.c5.xlarge", volume_gb=11, max_runtime_seconds=61),
        "features": Job(instance_type="ml.g5.xlarge", volume_gb=12, max_runtime_seconds=62, spot=True),
        "tune": Job(instance_type="ml.m5.xlarge", volume_gb=13, max_runtime_seconds=63),
        "train": Job(instance_type="ml.p3.2xlarge", volume_gb=14, max_runtime_seconds=64, spot=True),
    }
    placed = Jobs(prepare=jobs["prepare"], extract=jobs["features"], tune=jobs["tune"], train=jobs["train"])
    run(aws, Settings(image="x", jobs=placed))
    for step, request in by_step(aws).items():
        job = jobs[step]
        assert request["ResourceConfig"]["InstanceType"] == job.instance_type
        assert request["ResourceConfig"]["VolumeSizeInGB"] == job.volume_gb
        assert request["EnableManagedSpotTraining"] is job.spot
        waits = {"MaxWaitTimeInSeconds": job.max_runtime_seconds + 3600} if job.spot else {}
        assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": job.max_runtime_seconds} | waits


def modes(request: dict[str, Any]) -> dict[str, str]:
    """Return channel -> how it is read."""
    return {channel["ChannelName"]: channel["InputMode"] for channel in request["InputDataConfig"]}


def test_photos_are_kept_and_read_as_the_settings_say(aws: FakeAws) -> None:
    run(aws, Settings(image="x", dataset=Dataset(shard_photos=1000, input_mode="FastFile")))
    made = by_step(aws)
    assert made["prepare"]["HyperParameters"]["shard-photos"] == "1000"
    assert modes(made["features"]) == {"prepared": "FastFile"}
    assert modes(made["train"]) == {"prepared": "FastFile", "features": "File", "tuning": "File"}
    assert modes(made["tune"]) == {"features": "File"}


def test_photos_are_files_that_are_copied_unless_the_settings_say_otherwise(aws: FakeAws) -> None:
    run(aws, Settings(image="x"))
    assert by_step(aws)["prepare"]["HyperParameters"]["shard-photos"] == "0"
    assert set(modes(by_step(aws)["train"]).values()) == {"File"}


@pytest.mark.parametrize("wrong", [{"shard_photos": -1}, {"shard_photos": True}, {"input_mode": "Pipe"}])
def test_ways_to_keep_photos_that_there_are_not_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Dataset(**wrong)


def test_every_job_carries_the_tags_by_which_costs_are_allocated(aws: FakeAws) -> None:
    run(aws, Settings(image="x"))
    for request in [*aws.requests["createTrainingJob"], *aws.requests["createHyperParameterTuningJob"]]:
        tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        assert tags["pedigree:stage"] == "dev"
        assert tags["pedigree:step"] in {str(step) for step in Step}
        assert tags["pedigree:run"] in (request.get("TrainingJobName") or request["HyperParameterTuningJobName"])


def test_an_isolated_job_gets_its_code_as_a_channel(bucket: BucketAws) -> None:
    run(bucket, ISOLATED)
    for step, request in by_step(bucket).items():
        assert request["EnableNetworkIsolation"] is True, step
        assert channels(request)["code"] == "s3://assets/0123.tar.gz", step
        program = request.get("StaticHyperParameters") or request["HyperParameters"]
        assert program["sagemaker_submit_directory"] == "/opt/ml/input/data/code", step
        assert "weights-uri" not in program, step


@pytest.mark.parametrize(
    ("source", "mounted"),
    [
        ("s3://photos/dogs", "s3://photos/dogs/"),
        ("s3://photos/dogs/", "s3://photos/dogs/"),
        ("s3://photos/dogs.zip", "s3://photos/dogs.zip"),
        ("s3://photos/Dogs.ZIP", "s3://photos/Dogs.ZIP"),
        ("toy", None),
    ],
)
def test_an_isolated_job_gets_its_photos_as_a_channel(bucket: BucketAws, source: str, mounted: str | None) -> None:
    run(bucket, ISOLATED, {"source": source})
    prepare = by_step(bucket)["prepare"]
    assert channels(prepare).get("source") == mounted
    assert prepare["HyperParameters"]["source"] == source


@pytest.mark.parametrize("source", ["https://example.com/dogs.zip", "http://example.com/dogs.zip", "/home/me/dogs"])
def test_a_source_that_no_isolated_job_can_reach_is_refused_at_once(bucket: BucketAws, source: str) -> None:
    execution = run_settings(bucket, {"source": source}, ISOLATED)
    assert execution.cause == (
        'Prepare: network isolation is on, and no job reaches a network: the input "source" must be an s3:// address '
        f'or "toy", got {source}'
    )
    assert not bucket.calls


def test_weights_that_stand_in_the_bucket_are_a_channel_of_isolated_jobs(bucket: BucketAws) -> None:
    bucket.objects["weights/resnet50.pth"] = "..."
    run(bucket, ISOLATED, {"backbone": "resnet50"})
    given = {step: channels(request).get("weights") for step, request in by_step(bucket).items()}
    weights = "s3://bucket/weights/"
    assert given == {"prepare": None, "features": weights, "tune": None, "train": weights}


@pytest.mark.parametrize("backbone", ["auto", "efficientnet_lite0"])
def test_isolated_jobs_do_without_weights_where_the_backbone_brings_its_own(bucket: BucketAws, backbone: str) -> None:
    run(bucket, ISOLATED, {"backbone": backbone})
    assert all("weights" not in channels(request) for request in definitions(bucket))


def test_isolated_jobs_are_not_started_for_a_backbone_whose_weights_are_missing(bucket: BucketAws) -> None:
    execution = run_settings(bucket, {"backbone": "resnet50"}, ISOLATED)
    assert execution.cause.startswith(
        "Prepare: network isolation is on and nothing stands below s3://bucket/weights/: put resnet50.pth there"
    )
    assert "createTrainingJob" not in bucket.calls


def managed() -> Facts:
    """Return facts of a stage with SageMaker's own Debugger."""
    return facts_of(Settings(image="x", debugger="managed"))


def test_the_managed_debugger_looks_at_the_training_and_at_no_trial(aws: FakeAws) -> None:
    run(aws, Settings(image="x", debugger="managed"))
    steps = by_step(aws)
    looked_at = {step for step, request in steps.items() if "DebugHookConfig" in request}
    assert looked_at == {"train"}
    rules = {rule["RuleParameters"]["rule_to_invoke"] for rule in steps["train"]["DebugRuleConfigurations"]}
    assert rules == {"LossNotDecreasing", "Overfit", "Overtraining", "VanishingGradient", "ExplodingTensor"}
    assert [r["RuleParameters"] for r in steps["train"]["ProfilerRuleConfigurations"]] == [
        {"rule_to_invoke": "ProfilerReport"}
    ]


def test_the_managed_debugger_writes_where_the_job_may() -> None:
    said = managed_debugging(managed())
    assert said["DebugHookConfig"]["S3OutputPath"] == said["ProfilerConfig"]["S3OutputPath"] == "s3://bucket/models"


def test_the_rules_image_is_known_for_the_regions_that_sagemaker_core_knows() -> None:
    # By its file: importing the package takes seconds.
    (table,) = [file for file in files("sagemaker-core") or [] if file.match("image_uri_config/debugger.json")]
    known = json.loads(table.read_text(encoding="utf-8"))["versions"]["latest"]["registries"]
    assert known == REGISTRIES


def test_all_of_it_together_is_a_request_that_sagemaker_takes(bucket: BucketAws) -> None:
    network = Network(subnets=NETWORK.subnets, security_groups=NETWORK.security_groups, isolation=True)
    bucket.objects["weights/resnet50.pth"] = "..."
    settings = Settings(image="x", customer_key=True, debugger="managed", network=network)
    run(bucket, settings, {"source": "s3://photos/dogs"})
    for request in bucket.requests["createTrainingJob"]:
        check_request("CreateTrainingJob", request)


@pytest.mark.parametrize(("share", "given"), [(0.9, "0.9"), (None, "0")])
def test_the_training_is_told_the_share_of_known_photos_and_the_revision_of_its_code(
    aws: FakeAws, share: float | None, given: str
) -> None:
    run(aws, Settings(image="x", answers=Answers(known_share=share)))
    told = by_step(aws)["train"]["HyperParameters"]
    assert (told["known-share"], told["source-revision"]) == (given, "0123abc")

"""Settings: what is given wins, what is wrong is refused with the key, the value and what is allowed."""

from typing import Any

import pytest

from contract.names import MAX_TUNING_JOB_NAME
from infra.checks import SettingsError, explain
from infra.settings import ATTEMPT_LENGTH, MAX_STAGE_NAME, RUN_ID_LENGTH, Job, Settings, load_settings


def test_every_stage_of_cdk_json_can_be_loaded(context: dict[str, Any], stage: str) -> None:
    assert load_settings(context["stages"], stage).stage == stage


def test_the_default_stage_is_one_of_the_stages(context: dict[str, Any]) -> None:
    assert context["stage"] in context["stages"]


def test_what_a_stage_does_not_say_comes_from_the_defaults() -> None:
    settings = load_settings({"dev": {"jobs": {"train": {"volume_gb": 99}}}}, "dev")
    assert settings.jobs.train == Job(
        instance_type=Settings().jobs.train.instance_type, volume_gb=99, max_runtime_seconds=4 * 3600, spot=True
    )
    assert settings.jobs.extract == Settings().jobs.extract


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"jobs": {"train": {"volume_gb": "50"}}},
            "stages.dev.jobs.train.volume_gb: '50' given, a whole number from 1 to 16384 expected",
        ),
        ({"gate": {"minimum_accuracy": 60}}, "stages.dev.gate.minimum_accuracy: 60 given, a number from 0 to 1"),
        ({"gate": {"minimum_accuracy": True}}, "a number from 0 to 1 expected"),
        ({"jobs": {"tune": {"instance_type": "m5.large"}}}, "a SageMaker instance type such as ml.m5.large expected"),
        ({"jobs": {"tune": {"spot": "yes"}}}, "stages.dev.jobs.tune.spot: 'yes' given, true or false expected"),
        ({"defaults": {"backbone": "vgg16"}}, "one of auto, resnet50, efficientnet_lite0 expected"),
        ({"defaults": {"trials": 101}}, "stages.dev.defaults.trials: 101 given, a whole number from 1 to 100"),
        ({"defaults": {"source": "x' & $y & '"}}, "stages.dev.defaults.source: \"x' & $y & '\" given"),
        ({"removal": "snapshot"}, "stages.dev.removal: 'snapshot' given, one of destroy, retain expected"),
        ({"image": ""}, "stages.dev.image: '' given, null or an image's name or URI expected"),
        ({"jobs": {"training": {}}}, "stages.dev.jobs.training: {} given, one of the keys prepare, extract, tune"),
        ({"jobs": []}, "stages.dev.jobs: [] given, an object expected"),
        ({"stage": "other"}, "stages.dev.stage: 'other' given, no such key"),
        ({"source_buckets": ["Bad_Bucket"]}, "stages.dev.source_buckets: ('Bad_Bucket',) given, a list, each item"),
        ({"api": {"url_template": "localhost"}}, "an http(s) URL with {api_id}"),
        ([], "stages.dev: [] given, an object expected"),
        (
            {"jobs": {"tune": {"spot": True, "keep_alive_seconds": 60}}},
            "stages.dev.jobs.tune.keep_alive_seconds: 60 given, 0, since spot instances are not kept, expected",
        ),
        ({"retry": {"attempts": 10}}, "stages.dev.retry.attempts: 10 given, a whole number from 0 to 9 expected"),
        ({"tuning": {"early_stopping": "Auto"}}, "stages.dev.tuning.early_stopping: 'Auto' given, true or false"),
        (
            {"endpoint": {"rollout": {"traffic": "canary"}}},
            "stages.dev.endpoint.rollout.traffic: 'canary' given, all_at_once, since a canary takes 2 or more",
        ),
        (
            {"endpoint": {"serving": {"engine": "tensorrt"}}},
            "stages.dev.endpoint.serving.engine: 'tensorrt' given, one of auto, eager, compiled, openvino, ",
        ),
        ({"endpoint": {"serving": {"queue_photos": 0}}}, "a whole number from 1 to 100000 expected"),
        ({"endpoint": {"serving": {"timeout_seconds": 61}}}, "a whole number from 1 to 60 expected"),
        ({"endpoint": {"rollout": {"traffic": "linear"}}}, "one of all_at_once, canary expected"),
        ({"endpoint": {"rollout": {"canary_percent": 51}}}, "a whole number from 1 to 50 expected"),
        ({"endpoint": {"rollout": {"bake_seconds": 3601}}}, "a whole number from 0 to 3600 expected"),
        (
            {"endpoint": {"instances": 3, "scaling": {"maximum_instances": 2}}},
            "stages.dev.endpoint.scaling.maximum_instances: 2 given, null or at least 3 (instances) expected",
        ),
        (
            {"endpoint": {"scaling": {"night": {"begins": "22:00"}}}},
            "stages.dev.endpoint.scaling.night.begins: '22:00' given, null, unless maximum_instances is set, expected",
        ),
        (
            {"endpoint": {"scaling": {"maximum_instances": 2, "night": {"begins": "24:00"}}}},
            "stages.dev.endpoint.scaling.night.begins: '24:00' given, null or a time of day such as 22:30 expected",
        ),
        ({"endpoint": {"capture_percent": 101}}, "a whole number from 0 to 100 expected"),
        (
            {"network": {"subnets": ["subnet-0a1b2c3d"]}},
            "stages.dev.network.security_groups: () given, subnets and security groups together, or neither of them,",
        ),
        ({"network": {"subnets": ["vpc-0a1b2c3d"], "security_groups": []}}, "a list, each item a subnet's id"),
        ({"reaper": {"idle_hours": 0}}, "stages.dev.reaper.idle_hours: 0 given, null or a whole number from 1 to 720"),
        ({"watch": {"log_days": 31}}, "stages.dev.watch.log_days: 31 given, one of 1, 3, 5, 7, 14, 30, 60, 90"),
        ({"watch": {"log_days": True}}, "stages.dev.watch.log_days: True given, one of 1, 3, 5"),
        ({"watch": {"email": "nobody"}}, "stages.dev.watch.email: 'nobody' given, null or an e-mail address expected"),
        (
            {"jobs": {"tune": {"keep_alive_seconds": 60}}},
            "stages.dev.jobs.tune.keep_alive_seconds: 60 given, 0, since a tuning job keeps its own, expected",
        ),
        ({"debugger": "aws"}, "stages.dev.debugger: 'aws' given, one of own, managed expected"),
        ({"customer_key": "alias/mine"}, "stages.dev.customer_key: 'alias/mine' given, true or false expected"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key_and_what_is_allowed(given: object, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"dev": given}, "dev")
    assert message in str(caught.value)


def test_an_unknown_stage_is_refused_with_the_stages_there_are() -> None:
    with pytest.raises(SettingsError, match=r"stage: 'staging' given, one of dev, prod \(the keys of stages"):
        load_settings({"dev": {}, "prod": {}}, "staging")


@pytest.mark.parametrize("stages", [None, []])
def test_missing_stages_are_refused(stages: object) -> None:
    with pytest.raises(SettingsError, match="an object with one entry per stage"):
        load_settings(stages, "dev")


def test_the_longest_stage_name_leaves_room_for_a_tuning_job_name() -> None:
    longest = "a" * MAX_STAGE_NAME
    prefix = load_settings({longest: {}}, longest).prefix
    assert len(f"{prefix}-{'0' * RUN_ID_LENGTH}{'-r9'.rjust(ATTEMPT_LENGTH)}") == MAX_TUNING_JOB_NAME


def test_a_longer_stage_name_is_refused() -> None:
    name = "a" * (MAX_STAGE_NAME + 1)
    with pytest.raises(SettingsError, match=f"a stage name of 1 to {MAX_STAGE_NAME} lower-case letters"):
        load_settings({name: {}}, name)


@pytest.mark.parametrize(("instance_type", "gpu"), [("ml.m5.large", False), ("ml.g4dn.xlarge", True)])
def test_the_instance_type_decides_over_the_image(instance_type: str, gpu: bool) -> None:
    assert Job(instance_type=instance_type).gpu is gpu


def test_a_list_in_json_becomes_a_tuple_so_that_settings_stay_frozen() -> None:
    assert load_settings({"dev": {"source_buckets": ["photos"]}}, "dev").source_buckets == ("photos",)


def test_every_setting_and_section_says_what_it_means() -> None:
    silent = [each.key for each in explain(Settings()) if not each.meaning.endswith((".", ".)"))]
    assert not silent


def test_a_section_explains_itself_with_its_docstring_unless_its_place_says_more() -> None:
    meanings = {each.key: each.meaning for each in explain(Settings())}
    assert meanings["gate"] == "What a model must reach before it is deployed, in test accuracy."
    assert meanings["jobs.tune"] == "One trial of the tuning, or all of them (tuning.mode)."


def test_explaining_shows_the_values_of_the_stage_at_hand() -> None:
    given = {"jobs": {"train": {"volume_gb": 99}}}
    values = {each.key: each.default for each in explain(load_settings({"dev": given}, "dev"))}
    assert values["jobs.train.volume_gb"] == 99
    assert values["jobs.extract.volume_gb"] == 50

"""What the launcher reads from SageMaker's files and gives to a script."""

import json
from pathlib import Path

import pytest

from container.environment import Job, Layout, read_job, script_arguments, script_environment, unquote
from container.errors import LaunchError


def written(base: Path, **files: object) -> Layout:
    layout = Layout(base)
    layout.config.mkdir(parents=True)
    for name, content in files.items():
        (layout.config / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return layout


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ('"16"', "16"),
        ('"a b"', "a b"),
        ('"say \\"hi\\""', 'say "hi"'),
        ("0.01", "0.01"),
        ("true", "true"),
        ("false", "false"),
        ("null", "null"),
        ("", ""),
        ('"unclosed', '"unclosed'),
        ('"a" and "b"', '"a" and "b"'),
        ('["a"]', '["a"]'),
    ],
)
def test_only_json_strings_lose_their_quotes(sent: str, read: str) -> None:
    assert unquote(sent) == read


def test_the_platforms_own_hyperparameters_are_no_options_of_the_script(tmp_path: Path) -> None:
    layout = written(
        tmp_path,
        hyperparameters={
            "sagemaker_program": '"training/hpo.py"',
            "sagemaker_region": "eu-west-1",
            "_tuning_objective_metric": "final:valid_accuracy",
            "lr": "0.01",
        },
    )
    job = read_job(layout)
    assert script_arguments(job) == ["--lr", "0.01"]
    assert job.required("sagemaker_program") == "training/hpo.py"


def test_the_region_of_the_environment_comes_before_the_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = read_job(written(tmp_path, hyperparameters={"sagemaker_region": "eu-west-1"}))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert job.region == "eu-west-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert job.region == "us-west-2"


def test_a_job_without_channels_or_hosts_is_one_host_without_data(tmp_path: Path) -> None:
    job = read_job(written(tmp_path, hyperparameters={}))
    assert job == Job({}, (), ("algo-1",), "algo-1")


def test_the_environment_has_sagemakers_names(tmp_path: Path) -> None:
    job = Job({"lr": "0.01", "sagemaker_program": "training/hpo.py"}, ("features", "tuning"), ("algo-1",), "algo-1")
    environment = script_environment(Layout(tmp_path), job)
    named = {name: value for name, value in environment.items() if name.startswith("SM_")}
    assert json.loads(named.pop("SM_CHANNELS")) == ["features", "tuning"]
    assert json.loads(named.pop("SM_HOSTS")) == ["algo-1"]
    assert json.loads(named.pop("SM_HPS")) == {"lr": "0.01"}
    assert json.loads(named.pop("SM_USER_ARGS")) == ["--lr", "0.01"]
    assert int(named.pop("SM_NUM_CPUS")) >= 1
    assert int(named.pop("SM_NUM_GPUS")) >= 0
    assert named == {
        "SM_MODEL_DIR": f"{tmp_path}/model",
        "SM_OUTPUT_DIR": f"{tmp_path}/output",
        "SM_OUTPUT_DATA_DIR": f"{tmp_path}/output/data",
        "SM_INPUT_DIR": f"{tmp_path}/input",
        "SM_INPUT_CONFIG_DIR": f"{tmp_path}/input/config",
        "SM_CHANNEL_FEATURES": f"{tmp_path}/input/data/features",
        "SM_CHANNEL_TUNING": f"{tmp_path}/input/data/tuning",
        "SM_MODULE_DIR": "",
        "SM_USER_ENTRY_POINT": "training/hpo.py",
        "SM_HP_LR": "0.01",
        "SM_CURRENT_HOST": "algo-1",
        "SM_LOG_LEVEL": "20",
    }
    assert environment["PYTHONPATH"] == f"{tmp_path}/code"
    assert environment["PYTHONUNBUFFERED"] == "1"


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_request_that_is_no_json_object_is_named(tmp_path: Path, content: str) -> None:
    with pytest.raises(LaunchError, match=r"hyperparameters\.json.*JSON"):
        read_job(written(tmp_path, hyperparameters=content))


def test_the_base_folder_is_sagemakers_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAGEMAKER_BASE_DIR", raising=False)
    assert Layout.from_environment().model == Path("/opt/ml/model")
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", "/somewhere")
    assert Layout.from_environment().model == Path("/somewhere/model")


def test_openmps_threads_sleep_while_they_wait_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job({}, (), ("algo-1",), "algo-1")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert script_environment(Layout(tmp_path), job)["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert script_environment(Layout(tmp_path), job)["OMP_WAIT_POLICY"] == "ACTIVE"

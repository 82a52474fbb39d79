from dataclasses import asdict

import pytest

from contract.recipe import Recipe
from infra.checks import SettingsError
from infra.settings import Network, Rules, Settings, Tracking, Training, load_settings
from tests.infra.fake_aws import FakeAws
from tests.infra.running import run


def test_the_defaults_are_the_recipes_own() -> None:
    assert asdict(Training()) == Recipe().as_dict()


@pytest.mark.parametrize(
    "wrong", [{"ema": 1}, {"label_smoothing": 1.0}, {"backbone_lr": 0}, {"optimizer": "lion"}, {"first_trained": "a b"}]
)
def test_what_the_training_would_refuse_is_refused_at_once(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Training(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_the_stages_recipe_reaches_the_training_job(aws: FakeAws) -> None:
    chosen = Training(mixup=0.2, optimizer="sgd", first_trained="layer3", class_balance=True)
    run(aws, settings=Settings(image="x", training=chosen))
    sent = aws.requests["createTrainingJob"][-1]["HyperParameters"]
    assert chosen.recipe.as_strings().items() <= sent.items()
    assert sent["sagemaker_torch_distributed_enabled"] == "true"


def test_the_stage_says_whether_the_trainings_time_is_looked_at_and_how_many_threads_decode(aws: FakeAws) -> None:
    run(aws, settings=Settings(image="x", profiler=False, loader_threads=3))
    sent = aws.requests["createTrainingJob"][-1]["HyperParameters"]
    assert (sent["profiler"], sent["loader-threads"]) == ("False", "3")


@pytest.mark.parametrize(
    ("rules", "sent"),
    [
        (Rules(), {"stop-early": "True"}),
        (Rules(on=("Overfit", "AllZero"), stop_early=False), {"rules": "Overfit,AllZero", "stop-early": "False"}),
        (Rules(on=()), {"rules": "none", "stop-early": "True"}),
    ],
)
def test_the_stages_rules_reach_the_training_job(aws: FakeAws, rules: Rules, sent: dict[str, str]) -> None:
    run(aws, settings=Settings(image="x", rules=rules))
    told = aws.requests["createTrainingJob"][-1]["HyperParameters"]
    assert {name: told[name] for name in ("rules", "stop-early") if name in told} == sent


def test_a_rule_that_there_is_not_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"rules\.on.*Overfitting.*LossNotDecreasing"):
        load_settings({"dev": {"rules": {"on": ["Overfitting"]}}}, "dev")


def test_the_stages_mlflow_server_reaches_the_training_job(aws: FakeAws) -> None:
    run(aws, settings=Settings(image="x", tracking=Tracking(mlflow_uri="https://mlflow.example.com:5000/team")))
    sent = aws.requests["createTrainingJob"][-1]["HyperParameters"]
    assert sent["mlflow-uri"] == "https://mlflow.example.com:5000/team"


def test_without_an_mlflow_server_the_training_job_hears_of_none(aws: FakeAws) -> None:
    run(aws, settings=Settings(image="x"))
    assert "mlflow-uri" not in aws.requests["createTrainingJob"][-1]["HyperParameters"]


@pytest.mark.parametrize(
    "uri", ["https://me:secret@mlflow.example.com", "file:///tmp/mlruns", "mlflow.example.com", ""]
)
def test_an_mlflow_address_that_no_job_should_have_is_refused(uri: str) -> None:
    with pytest.raises(SettingsError, match="mlflow_uri"):
        Tracking(mlflow_uri=uri)


def test_an_mlflow_server_that_isolation_hides_is_refused() -> None:
    with pytest.raises(SettingsError, match="isolation"):
        Settings(network=Network(isolation=True), tracking=Tracking(mlflow_uri="https://mlflow.example.com"))

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.metrics import Objective
from contract.search_space import Sampler, Stopping, parse_hyperparameters, spread_hyperparameters
from contract.trials import TrialResult, read_trial_line
from training import hpo, sweep
from training.environment import Interrupted, StopSignal
from training.features import Features, load_features, save_features
from training.sweep import SweepError, SweepSettings

FeatureMaker = Callable[..., Features]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def channel(tmp_path: Path, make_features: FeatureMaker) -> Path:
    save_features(tmp_path / "features", make_features(photos=200, views=2, spread=4.0))
    return tmp_path / "features"


def run(features: Features, settings: SweepSettings) -> list[TrialResult]:
    return sweep.run_sweep(features, settings, lambda trial: None, StopSignal())


@pytest.mark.parametrize("objective", list(Objective))
def test_every_trial_has_the_numbers_that_hpo_has(channel: Path, tmp_path: Path, objective: Objective) -> None:
    options = ["--features", str(channel), "--seed", "5", "--objective", str(objective)]
    sweep.main([*options, "--model-dir", str(tmp_path / "sweep"), "--trials", "6"])
    tuning = json.loads((tmp_path / "sweep" / "tuning.json").read_text())
    assert len(tuning["trials"]) == 6
    for trial in tuning["trials"]:
        given = [part for name, value in trial["hyperparameters"].items() for part in (f"--{name}", value)]
        hpo.main([*options, "--model-dir", str(tmp_path / trial["name"]), *given])
        metrics = json.loads((tmp_path / trial["name"] / "metrics.json").read_text())
        assert (trial["objective"], trial["loss"]) == (metrics["valid_accuracy"], metrics["valid_loss"])


def test_tuning_json_holds_the_best_trial_s_hyperparameters(channel: Path, tmp_path: Path) -> None:
    sweep.main(["--features", str(channel), "--model-dir", str(tmp_path), "--trials", "5"])
    tuning = json.loads((tmp_path / "tuning.json").read_text())
    best = max(tuning["trials"], key=lambda trial: (trial["objective"], -trial["loss"]))
    assert tuning["hyperparameters"] == best["hyperparameters"]
    assert tuning["fingerprint"] == "f" * 64
    parse_hyperparameters(tuning["hyperparameters"])


def test_every_trial_is_told_as_it_ends(channel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep.main(["--features", str(channel), "--model-dir", str(tmp_path), "--trials", "3"])
    told = [found for line in capsys.readouterr().out.splitlines() if (found := read_trial_line(line))]
    listed = json.loads((tmp_path / "tuning.json").read_text())["trials"]
    assert [trial.as_dict() for trial, _ in told] == listed
    assert {planned for _, planned in told} == {3}


def test_the_same_settings_give_the_same_sweep(make_features: FeatureMaker) -> None:
    features = make_features(spread=4.0)
    settings = SweepSettings(trials=4, seed=3, stopping=Stopping.HYPERBAND)
    assert run(features, settings) == run(features, settings)
    assert run(features, settings) != run(features, SweepSettings(trials=4, seed=4, stopping=Stopping.HYPERBAND))


def test_points_are_spread_or_drawn() -> None:
    assert SweepSettings(trials=8, seed=1).points() == spread_hyperparameters(8, 1)
    drawn = SweepSettings(trials=8, seed=1, sampler=Sampler.RANDOM).points()
    assert drawn != spread_hyperparameters(8, 1)
    assert drawn == SweepSettings(trials=8, seed=1, sampler=Sampler.RANDOM).points()


@pytest.mark.parametrize("stopping", [Stopping.MEDIAN, Stopping.HYPERBAND])
def test_losing_trials_are_stopped_and_what_they_had_by_then_stays(
    make_features: FeatureMaker, stopping: Stopping
) -> None:
    features = make_features(spread=4.0)
    whole, cut = (run(features, SweepSettings(24, stopping=chosen)) for chosen in (Stopping.NONE, stopping))
    stopped = [number for number, trial in enumerate(cut) if trial.status == "Stopped"]
    assert 0 < len(stopped) < 24
    assert {trial.status for trial in whole} == {"Completed"}
    for before, after in zip(whole, cut, strict=True):
        assert before.hyperparameters == after.hyperparameters
        assert before.objective is not None
        assert after.objective is not None
        assert after.objective <= before.objective
        assert after == before or after.status == "Stopped"


def test_a_trial_that_diverges_has_no_score_and_is_valid_json(channel: Path, tmp_path: Path) -> None:
    features = load_features(channel)
    features.train.features[:] = float("nan")
    save_features(channel, features)
    with pytest.raises(SweepError, match="none of 2 trials came to a finite loss"):
        sweep.main(["--features", str(channel), "--model-dir", str(tmp_path), "--trials", "2"])
    (result, _) = run(features, SweepSettings(2, objective=Objective.LOSS, stopping=Stopping.MEDIAN))
    assert (result.objective, result.loss) == (None, None)


def test_a_sweep_that_is_asked_to_stop_does_so(make_features: FeatureMaker) -> None:
    stop = StopSignal().listen()
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Interrupted):
        sweep.run_sweep(make_features(), SweepSettings(2), lambda trial: None, stop)


def test_a_sweep_imports_nothing_that_the_image_lacks_or_that_takes_seconds(channel: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from training import sweep; "
        f"sweep.main(['--features', {str(channel)!r}, '--model-dir', {str(tmp_path / 'm')!r}, '--trials', '1']); "
        "slow = {'optuna', 'torchvision', 'timm', 'smdebug', 'PIL', 'torch._dynamo', 'boto3'} & set(sys.modules); "
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

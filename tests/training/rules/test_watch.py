import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from contract.findings import Finding, Severity, finding_of
from contract.names import FOUND_FILE
from contract.rules import TENSOR_RULES
from tests.training.rules.small_training import SmallTraining, network, points
from training.errors import StoppedByRuleError
from training.rules.registry import RULES
from training.rules.watch import RuleWatch, State
from training.supervision import Supervision

LEARNING = ("ExplodingTensor", "WeightUpdateRatio", "LossNotDecreasing")


def saved(folder: Path, lr: float) -> Path:
    SmallTraining(folder, network(), points(), points(seed=1), lr=lr, epochs=2).run()
    return folder


def states(watch: RuleWatch) -> dict[str, str]:
    return {rule["name"]: rule["state"] for rule in watch.as_dict()["rules"]}


def test_every_rule_of_the_contract_is_there() -> None:
    assert tuple(RULES) == TENSOR_RULES


def test_an_error_ends_the_training_in_the_findings_words_and_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, watch = saved(tmp_path / "tensors", lr=1000.0), RuleWatch(LEARNING)
    with pytest.raises(StoppedByRuleError, match=r"WeightUpdateRatio at step 1: .* Lower the learning rates"):
        watch.look(folder)
    watch.close(folder)
    assert capsys.readouterr().out.count("found (error): WeightUpdateRatio") == 1
    assert states(watch)["WeightUpdateRatio"] == State.FOUND
    assert [finding_of(one) for one in watch.as_dict()["findings"]] == watch.findings
    json.dumps(watch.as_dict())


def test_where_it_must_not_stop_all_is_looked_at(tmp_path: Path) -> None:
    watch = RuleWatch(LEARNING, stop_early=False)
    watch.look(saved(tmp_path / "tensors", lr=1000.0))
    assert {finding.rule for finding in watch.findings} >= {"WeightUpdateRatio", "ExplodingTensor"}


def test_a_healthy_training_is_clear_and_what_has_nothing_to_look_at_says_so(tmp_path: Path) -> None:
    watch = RuleWatch((*LEARNING, "SaturatedActivation"))
    watch.close(saved(tmp_path / "tensors", lr=0.05))
    assert watch.findings == []
    assert {states(watch)[name] for name in LEARNING} == {State.CLEAR}
    assert states(watch)["SaturatedActivation"] == State.NOT_EVALUATED  # a network of ReLUs
    assert states(watch)["AllZero"] == State.NOT_EVALUATED
    why = {rule["name"]: rule["why"] for rule in watch.as_dict()["rules"]}
    assert why["AllZero"] == "switched off in the settings"


def test_without_tensors_no_rule_is_evaluated_and_the_reason_stands_there() -> None:
    watch = RuleWatch()
    watch.close(None, "smdebug cannot be imported (No module named 'smdebug')")
    rules = [rule for rule in watch.as_dict()["rules"] if rule["name"] != "StalledTraining"]
    assert {rule["state"] for rule in rules} == {State.NOT_EVALUATED}
    assert {rule["why"] for rule in rules} == {
        "no tensors were saved: smdebug cannot be imported (No module named 'smdebug')"
    }


def test_files_that_cannot_be_read_fail_the_rules_and_not_the_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = saved(tmp_path / "tensors", lr=0.05)
    for index in (folder / "index").rglob("*.json"):
        index.write_text('{"meta": ')
    watch = RuleWatch(LEARNING)
    watch.look(folder)
    watch.close(folder)
    assert states(watch)["ExplodingTensor"] == State.FAILED
    assert "no rule is evaluated any more" in caplog.text


def test_a_rule_that_fails_says_so_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, step: int) -> bool:
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr(RULES["ExplodingTensor"], "invoke_at_step", broken)
    watch = RuleWatch(LEARNING)
    watch.close(saved(tmp_path / "tensors", lr=0.05))
    (failed,) = [rule for rule in watch.as_dict()["rules"] if rule["state"] == State.FAILED]
    assert failed["name"] == "ExplodingTensor"
    assert "float division by zero" in failed["why"]
    assert states(watch)["WeightUpdateRatio"] == State.CLEAR


def test_a_graver_finding_takes_the_place_of_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    watch = RuleWatch(stop_early=False)
    for severity, step in ((Severity.INFO, 1), (Severity.WARNING, 2), (Severity.INFO, 3), (Severity.WARNING, 4)):
        watch.add(Finding("Overfit", severity, step, "a.", "b.", "c."))
    (kept,) = watch.findings
    assert (kept.severity, kept.step) == (Severity.WARNING, 2)
    assert capsys.readouterr().out.count("found (") == 2


def test_findings_are_left_however_the_training_ends(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Supervision(tmp_path, tmp_path / "checkpoints", RuleWatch(()), 10):
        raise RuntimeError("no memory")
    left = json.loads((tmp_path / "findings.json").read_text())
    assert {rule["state"] for rule in left["rules"]} == {State.NOT_EVALUATED}
    assert left["findings"] == []
    assert json.loads((tmp_path / "checkpoints" / FOUND_FILE).read_text()) == {"errors": [], "warnings": []}


def test_a_stall_may_be_told_of_while_the_training_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def slowly(partial: Path, path: Path) -> Path:
        time.sleep(0.05)
        return replace(partial, path)

    monkeypatch.setattr(Path, "replace", slowly)
    failed: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda hook: failed.append(hook.exc_value))
    with Supervision(tmp_path, tmp_path / "checkpoints", RuleWatch(()), 10) as supervision:
        watchdog = threading.Thread(target=supervision._stalled, args=(1800.0, "somewhere"))
        watchdog.start()
    watchdog.join()
    assert failed == []
    assert [one["rule"] for one in json.loads((tmp_path / "findings.json").read_text())["findings"]] == [
        "StalledTraining"
    ]


def test_only_the_chief_leaves_something(tmp_path: Path) -> None:
    with Supervision(tmp_path, tmp_path / "checkpoints", RuleWatch(), 10, chief=False) as supervision:
        assert supervision.debugger.folder is None
    assert not list(tmp_path.iterdir())


def test_classes_are_called_by_their_names_in_what_is_found(tmp_path: Path) -> None:
    labels = ("Pug", "Boxer", "Corgi")
    watch = RuleWatch(("ClassImbalance",), class_labels=labels)
    train = points((160, 160, 4))
    SmallTraining(tmp_path, network(), train, points(seed=1), epochs=2, layers_too=False).run()
    watch.look(tmp_path)
    assert "and Corgi " in watch.findings[0].evidence
    assert "class 2" not in watch.findings[0].evidence

"""Evaluates the rules while a training runs, over what the hook has saved so far.

Importing it does not import smdebug: where that is missing, no rule is evaluated, and the findings say so.
"""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from contract.findings import Finding, Severity
from contract.rules import TENSOR_RULES
from training.errors import StoppedByRuleError
from training.progress import say

LOG: Final = logging.getLogger(__name__)
_RANK: Final = list(Severity)
# Where smdebug writes the collections of the chief, the only process that saves: before that, no trial can be opened.
_COLLECTIONS: Final = Path("collections", "000000000", "worker_0_collections.json")


class State(StrEnum):
    """What became of a rule."""

    FOUND = "found"
    CLEAR = "clear"
    NOT_EVALUATED = "not evaluated"
    FAILED = "failed"


@dataclass
class Verdict:
    """The state of one rule, and why it is so where that needs a reason."""

    name: str
    state: State = State.CLEAR
    why: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the entry of findings.json."""
        return {"name": self.name, "state": str(self.state), "why": self.why}


class RuleWatch:
    """Keeps the rules' verdicts and findings of one training.

    Args:
        names: of the rules that are on.
        stop_early: whether a finding of severity ``error`` ends the training.
        class_labels: readable names, for the findings' sentences; empty: not known.
    """

    def __init__(
        self, names: Iterable[str] = TENSOR_RULES, stop_early: bool = True, class_labels: Sequence[str] = ()
    ) -> None:
        self._chosen = frozenset(names)
        self._stop_early, self._class_labels = stop_early, tuple(class_labels)
        self._verdicts = {
            name: Verdict(name)
            if name in self._chosen
            else Verdict(name, State.NOT_EVALUATED, "switched off in the settings")
            for name in TENSOR_RULES
        }
        self._findings: dict[str, Finding] = {}
        self._lock = threading.Lock()
        self._rules: dict[str, Any] = {}
        self._trial: Any = None
        self._seen = -1
        self._others: list[dict[str, str]] = []

    @property
    def findings(self) -> list[Finding]:
        """What was found so far, the gravest first."""
        with self._lock:
            found = list(self._findings.values())
        return sorted(found, key=lambda each: -_RANK.index(each.severity))

    def is_on(self, name: str) -> bool:
        """Whether a rule was asked for."""
        return name in self._chosen

    @property
    def is_any_on(self) -> bool:
        """Whether any rule was asked for."""
        return bool(self._chosen)

    def look(self, folder: Path | None) -> None:
        """Evaluate every rule at the steps saved in ``folder`` since the last time; None: nothing is saved.

        Raises:
            StoppedByRuleError: a rule has found what makes it pointless to go on.
        """
        try:
            steps = self._new_steps(folder)
        except Exception as error:  # noqa: BLE001 (rules look on; whatever the saved files make smdebug raise, training goes on)
            self._fail_all(f"the saved tensors cannot be read ({type(error).__name__}: {error})")
            return
        for step in steps:
            self._seen = step
            ends = [self._evaluate(name, rule, step) for name, rule in list(self._rules.items())]
            for end in ends:
                if end is not None:
                    raise end

    def add(self, finding: Finding) -> StoppedByRuleError | None:
        """Keep a finding, from any thread; return what is to end the training, if it should.

        A rule's finding is kept once: the first, until a graver one comes.
        """
        with self._lock:
            known = self._findings.get(finding.rule)
            if known is not None and _RANK.index(known.severity) >= _RANK.index(finding.severity):
                return None
            self._findings[finding.rule] = finding
        if finding.rule in self._verdicts:
            self._verdicts[finding.rule].state = State.FOUND
        say(f"found ({finding.severity}): {finding.sentence}")
        stops = self._stop_early and finding.severity is Severity.ERROR
        return StoppedByRuleError(finding.sentence) if stops else None

    def take(self, states: Iterable[Mapping[str, str]], findings: Iterable[Finding]) -> None:
        """Add what other rules than those of tensors have found, in the form of findings.json."""
        self._others += [dict(state) for state in states]
        for finding in findings:
            self.add(finding)

    def close(self, folder: Path | None, reason: str = "") -> None:
        """Evaluate what is left, of a training that has ended, and say which rules had nothing to look at.

        Args:
            folder: as in ``look``.
            reason: why no tensors were saved.
        """
        self._stop_early = False
        self.look(folder)
        missing = "nothing that it looks at was saved" if self._rules else f"no tensors were saved: {reason}"
        for name, verdict in self._verdicts.items():
            rule = self._rules.get(name)
            if verdict.state == State.CLEAR and name != "StalledTraining" and (rule is None or not rule.has_data):
                self._verdicts[name] = Verdict(name, State.NOT_EVALUATED, missing)

    def as_dict(self) -> dict[str, Any]:
        """Return findings.json."""
        return {
            "rules": [*(verdict.as_dict() for verdict in self._verdicts.values()), *self._others],
            "findings": [finding.as_dict() for finding in self.findings],
        }

    def _new_steps(self, folder: Path | None) -> list[int]:
        if folder is None or not (folder / _COLLECTIONS).is_file():
            return []
        if self._trial is None:
            self._open(folder)
        # Looks at the files once, here, and not again whenever a rule asks for something.
        self._trial.dynamic_refresh = True
        steps = [step for step in self._trial.steps() if step > self._seen]
        self._trial.dynamic_refresh = False
        return steps

    def _open(self, folder: Path) -> None:
        from smdebug.trials import create_trial

        from training.rules.registry import RULES

        self._trial = create_trial(str(folder))
        self._rules = {name: RULES[name](self._trial) for name in self._verdicts if self.is_on(name)}
        for rule in self._rules.values():
            rule.class_labels = self._class_labels

    def _evaluate(self, name: str, rule: Any, step: int) -> StoppedByRuleError | None:
        try:
            found = rule.invoke_at_step(step)
        except Exception as error:  # noqa: BLE001 (as above; the verdict says it)
            self._verdicts[name] = Verdict(name, State.FAILED, f"at step {step}: {type(error).__name__}: {error}")
            LOG.warning("the rule %s failed at step %d and is not evaluated any more: %s", name, step, error)
            del self._rules[name]
            return None
        return self.add(rule.finding) if found else None

    def _fail_all(self, why: str) -> None:
        LOG.warning("no rule is evaluated any more: %s", why)
        for name in list(self._rules) or [name for name in self._verdicts if self.is_on(name)]:
            if self._verdicts[name].state == State.CLEAR:
                self._verdicts[name] = Verdict(name, State.FAILED, why)
        self._rules, self._seen = {}, 2**62

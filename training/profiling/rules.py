"""What every rule of the profile builds on, and what evaluates them once a training has ended.

A rule is a class named as AWS names it, whose keyword arguments are AWS's parameters with AWS's defaults
(smdebug_rulesconfig, ``profiler_rules/rules.py``), but for two that cannot be kept: readings are taken twice as far
apart as AWS's, and they begin with the first step, where AWS waits 1000 readings for the initialization to pass.
``scan_interval_us`` says how often AWS reads its files; here the profile is read once, at the end.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from contract.findings import Finding, Severity
from training.profiling.profile import Profile
from training.profiling.sampler import Sample

# Readings after the first step below which no share of them means anything.
PATIENCE: Final = 20


class NotEvaluatedError(Exception):
    """A profile without what a rule looks at; the message says what is missing, as a sentence."""


class ProfileRule(ABC):
    """A condition that a profile may meet."""

    severity: Severity = Severity.WARNING

    @property
    def name(self) -> str:
        """AWS's name."""
        return type(self).__name__

    @abstractmethod
    def look(self, profile: Profile) -> Finding | None:
        """Return what the profile shows; None where the condition is not met.

        Raises:
            NotEvaluatedError: it does not hold what the rule looks at.
        """

    def found(self, step: int | None, evidence: str, meaning: str, advice: str) -> Finding:
        """Return a finding of this rule."""
        return Finding(self.name, self.severity, step, evidence, meaning, advice)


def readings(profile: Profile, patience: int) -> list[Sample]:
    """Return the machine's load since the first step.

    Raises:
        NotEvaluatedError: there are fewer than ``patience`` readings.
    """
    found = profile.while_training()
    if len(found) < patience:
        raise NotEvaluatedError(f"The training was read {len(found)} times, {patience} are needed.")
    return found


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` (0 to 1) of the values do not exceed."""
    return sorted(values)[int(share * (len(values) - 1))]


def evaluate(profile: Profile, rules: Sequence[ProfileRule]) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Return what became of each rule, as findings.json lists it, and the findings."""
    states: list[dict[str, Any]] = []
    findings: list[Finding] = []
    for rule in rules:
        try:
            finding = rule.look(profile)
        except NotEvaluatedError as missing:
            states.append({"name": rule.name, "state": "not evaluated", "why": str(missing)})
            continue
        states.append({"name": rule.name, "state": "clear" if finding is None else "found", "why": ""})
        findings += [] if finding is None else [finding]
    return states, findings

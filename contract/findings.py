"""What a rule found in a training: one shape for job, report, state machine and console."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

# What an execution carries from state to state, a notice and a registry's reason (1,024 characters) have room for.
MOST_TOLD: Final = 5
LONGEST_TOLD: Final = 400


class Severity(StrEnum):
    """How bad it is. An ``error`` keeps the model from being deployed."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One condition that a rule met.

    Attributes:
        rule: its name, as AWS names it where AWS has such a rule: ``LossNotDecreasing``.
        severity: see there.
        step: the step of the training at which the condition was met first; None where it belongs to no step.
        evidence: what was seen, in numbers, as a sentence.
        meaning: what that means for the model, as a sentence.
        advice: what to change, as a sentence.
    """

    rule: str
    severity: Severity
    step: int | None
    evidence: str
    meaning: str
    advice: str

    @property
    def sentence(self) -> str:
        """The finding in one line, for logs and causes."""
        where = "" if self.step is None else f" at step {self.step}"
        return f"{self.rule}{where}: {self.evidence} {self.advice}"

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return asdict(self)


def finding_of(fields: Mapping[str, Any]) -> Finding:
    """Return the finding of a JSON object.

    Raises:
        ValueError: it is not one.
    """
    try:
        return Finding(**{**fields, "severity": Severity(fields["severity"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"{dict(fields)!r} is no finding: {error}") from error


def told(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """Return found.json, what the state machine reads of the findings: at most MOST_TOLD sentences of each severity.

    A notice or the cause of a failure is no place for an evidence of many layers: a sentence is cut at LONGEST_TOLD.
    """
    kept = list(findings)

    def sentences(severity: Severity) -> list[str]:
        of_it = [_cut(finding.sentence) for finding in kept if finding.severity is severity]
        more = len(of_it) - MOST_TOLD
        return of_it if more <= 0 else [*of_it[:MOST_TOLD], f"and {more} more"]

    return {"errors": sentences(Severity.ERROR), "warnings": sentences(Severity.WARNING)}


def _cut(sentence: str) -> str:
    return sentence if len(sentence) <= LONGEST_TOLD else f"{sentence[: LONGEST_TOLD - 3]}..."

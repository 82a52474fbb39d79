"""What a rule found in a training: one shape for job, report, state machine and console."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


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

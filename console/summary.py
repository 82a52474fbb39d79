"""summary.json: what a run came to, for people and scripts."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from console.files import read_json, write_json
from console.interrupts import shielded
from console.progress import Progress, StepStatus
from console.results import REPORT, SAMPLE, Results
from contract.names import OutputFile

SUMMARY: Final = "summary.json"
PREVIOUS: Final = "previous"


@dataclass(frozen=True)
class Options:
    """What was asked for: the same again takes about as long again."""

    data: str
    backbone: str
    trials: int
    epochs: int | None
    seed: int | None

    def as_dict(self) -> dict[str, Any]:
        """Return them as they stand in the summary."""
        return {
            "data": self.data,
            "backbone": self.backbone,
            "trials": self.trials,
            "epochs": self.epochs,
            "seed": self.seed,
        }


def seconds(progress: Progress) -> dict[str, float]:
    """Return step -> seconds, for the steps that were reached."""
    reached = (step for step in progress.steps if step.status is not StepStatus.WAITING)
    return {str(step.step): round(step.seconds, 1) for step in reached}


def former_seconds(folder: Path, options: Options) -> dict[str, float]:
    """Return how long the steps took when the same was last asked for; empty if it was not."""
    for place in (folder, folder / PREVIOUS):
        former = read_json(place / SUMMARY)
        if (
            isinstance(former, dict)
            and former.get("options") == options.as_dict()
            and former.get("status") == "SUCCEEDED"
        ):
            return dict(former["seconds"])
    return {}


def put_aside(folder: Path) -> None:
    """Move the former run's files into ``previous``: what stands in ``folder`` belongs to the run that starts now."""
    files = [folder / name for name in (SUMMARY, REPORT, SAMPLE, OutputFile.FINDINGS) if (folder / name).exists()]
    if not files:
        return
    with shielded():
        shutil.rmtree(folder / PREVIOUS, ignore_errors=True)
        (folder / PREVIOUS).mkdir()
        for file in files:
            file.rename(folder / PREVIOUS / file.name)


def succeeded(arn: str, options: Options, progress: Progress, results: Results) -> dict[str, Any]:
    """Return the summary of a run that went through."""
    output, metrics = progress.output, results.metrics
    final = output.get("metrics", {})
    return _head(arn, options, progress) | {
        "backbone": metrics.get("backbone"),
        "notice": metrics.get("notice"),
        "classes": metrics.get("classes"),
        "best_hyperparameters": metrics.get("hyperparameters", output.get("hyperparameters")),
        "valid_accuracy": metrics.get("valid_accuracy", final.get("final:valid_accuracy")),
        "test_accuracy": metrics.get("test_accuracy", final.get("final:test_accuracy")),
        "endpoint_name": output.get("endpoint_name"),
        "api_url": output.get("api_url"),
        "sample": output.get("sample"),
        "verdict": metrics.get("verdict"),
        "findings": metrics.get("findings", []),
        "resumed": output.get("resumed", False),
        "notice_not_sent": output.get("notice_not_sent", ""),
        "features_uri": output.get("features_uri"),
        "photos": output.get("data", {}).get("counts"),
        "photos_left_out": results.manifest.get("photos_left_out", []),
        "photos_converted": results.manifest.get("photos_converted", []),
        "report": str(results.report) if results.report else None,
    }


def failed(arn: str, options: Options, progress: Progress) -> dict[str, Any]:
    """Return the summary of a run that failed or was stopped."""
    return _head(arn, options, progress) | {
        "step": failed_step(progress),
        "error": progress.error,
        "cause": progress.cause,
    }


def failed_step(progress: Progress) -> str | None:
    """Return the step that an execution failed in: as its error says, else where it was."""
    project, _, step = progress.error.partition(".")
    if step and project == "Pedigree":
        return step
    return str(progress.failed.step) if progress.failed is not None else None


def _head(arn: str, options: Options, progress: Progress) -> dict[str, Any]:
    return {
        "execution_arn": arn,
        "status": progress.status,
        "options": options.as_dict(),
        "seconds": seconds(progress),
        "total_seconds": round(progress.seconds, 1),
    }


def save(folder: Path, summary: Mapping[str, Any]) -> Path:
    """Write summary.json, whole or not at all."""
    write_json(folder / SUMMARY, summary)
    return folder / SUMMARY

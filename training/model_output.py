"""What a training leaves: the artifact with its code, metrics, history and report; and the one look at the test set."""

import importlib.metadata
import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from contract.names import TUNING_FILE, OutputFile, PreparedFile
from training.evaluation import Evaluation, evaluate
from training.files import write_text
from training.history import Epoch, save_history
from training.job_inputs import Folders, Inputs
from training.learning_curve import Verdict, judge
from training.progress import say
from training.report import ReportData, write_report
from training.serving_code import copy_serving_code
from vision.classifier import Classifier, load_artifact, save_artifact, save_metrics

REPORTED_PACKAGES: Final = ("torch", "torchvision", "timm", "numpy", "pillow", "smdebug")


def leave_model(
    inputs: Inputs, classifier: Classifier, history: Sequence[Epoch], folders: Folders, settings: dict[str, Any]
) -> dict[str, Any]:
    """Write artifact and output, test the artifact as serving will use it, and return metrics.json.

    Args:
        inputs: photos and features.
        classifier: with the weights that are kept, on the CPU, in eval mode.
        history: all epochs.
        folders: where everything goes.
        settings: what metrics.json should say about how the model was made.
    """
    classes, spec = inputs.photos.classes, inputs.features.spec
    save_artifact(folders.model, classifier, classes, {})
    model = load_artifact(folders.model)
    valid = evaluate(model, inputs.photos.splits["valid"], inputs.reader)
    test = evaluate(model, inputs.photos.splits["test"], inputs.reader)
    verdict = judge(history, len(classes))
    metrics = {
        "backbone": spec.backbone,
        "classes": len(classes),
        **settings,
        "valid_accuracy": valid.score.accuracy,
        "valid_loss": valid.score.loss,
        "test_accuracy": test.score.accuracy,
        "test_loss": test.score.loss,
        "verdict": {"kind": str(verdict.kind), "text": verdict.text, "advice": verdict.advice},
        "fingerprint": spec.fingerprint,
        "weights_origin": spec.weights_origin,
        "notice": spec.notice,
        "photos_left_out": list(inputs.reader.left_out),
        "versions": _versions(),
    }
    save_metrics(folders.model, metrics)
    copy_serving_code(Path(__file__).parents[1], folders.model)
    write_text(folders.output / OutputFile.METRICS, json.dumps(metrics, indent=1))
    save_history(folders.output / OutputFile.HISTORY, history)
    write_report(folders.output / OutputFile.REPORT, _report(inputs, metrics, history, verdict, test, folders))
    return metrics


def _report(
    inputs: Inputs,
    metrics: dict[str, Any],
    history: Sequence[Epoch],
    verdict: Verdict,
    test: Evaluation,
    folders: Folders,
) -> ReportData:
    notices = [metrics["notice"]] if metrics["notice"] else []
    if metrics["photos_left_out"]:
        notices.append(f"Left out because they could not be decoded: {', '.join(metrics['photos_left_out'])}.")
    tuning = _json(folders.tuning / TUNING_FILE) if folders.tuning else {}
    return ReportData(
        backbone=metrics["backbone"],
        labels=inputs.photos.classes.labels,
        history=tuple(history),
        verdict=verdict,
        valid_accuracy=metrics["valid_accuracy"],
        valid_loss=metrics["valid_loss"],
        test_accuracy=metrics["test_accuracy"],
        test_loss=metrics["test_loss"],
        hyperparameters={
            **metrics["hyperparameters"],
            "fine_tune_epochs": metrics["fine_tune_epochs"],
            "backbone_lr": metrics["backbone_lr"],
        },
        seed=metrics["seed"],
        manifest=_json(folders.prepared / PreparedFile.MANIFEST),
        trials=tuning.get("trials", []),
        confusion=test.confusion,
        versions=metrics["versions"],
        notices=tuple(notices),
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _json(path: Path) -> dict[str, Any]:
    """Return what a file that only the report needs holds; where it cannot be read, nothing, and a line in the log."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        say(f"the report does without {path}: {error}")
        return {}
    return content if isinstance(content, dict) else {}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in REPORTED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found

"""What a training leaves: the artifact with its code, metrics, history and report; and the one look at the test set."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contract.names import TUNING_FILE, OutputFile, PreparedFile
from training.calibration import BINS, calibrate
from training.evaluation import Evaluation, by_class, evaluate
from training.files import write_text
from training.history import Epoch, save_history
from training.job_inputs import Folders, Inputs
from training.learning_curve import Verdict, judge
from training.progress import say
from training.provenance import surroundings
from training.report import ReportData, write_report
from training.serving_code import copy_serving_code
from vision.calibration import UNCALIBRATED
from vision.classifier import Classifier, load_artifact, save_artifact, save_calibration, save_metrics


def leave_model(
    inputs: Inputs, classifier: Classifier, history: Sequence[Epoch], folders: Folders, settings: dict[str, Any]
) -> dict[str, Any]:
    """Write artifact and output, test the artifact as serving will use it, and return metrics.json.

    Args:
        inputs: photos and features.
        classifier: with the weights that are kept, on the CPU, in eval mode.
        history: all epochs.
        folders: where everything goes.
        settings: what metrics.json should say about how the model was made; ``known_share``, the share of the
            validation photos that the model is to be sure of, and ``seed`` are used here.
    """
    classes, spec = inputs.photos.classes, inputs.features.spec
    save_artifact(folders.model, classifier, classes, {})
    model = load_artifact(folders.model)
    valid = evaluate(model, inputs.photos.splits["valid"], inputs.reader)
    calibration = calibrate(valid.logits, valid.labels, settings["known_share"])
    save_calibration(folders.model, calibration)
    valid = valid.read_with(calibration)
    test = evaluate(model, inputs.photos.splits["test"], inputs.reader).read_with(calibration)
    _say_calibration(valid, test)
    verdict = judge(history, len(classes))
    manifest = _json(folders.prepared / PreparedFile.MANIFEST)
    metrics = {
        "backbone": spec.backbone,
        "classes": len(classes),
        **settings,
        "valid_accuracy": valid.score.accuracy,
        "valid_loss": valid.score.loss,
        "test_accuracy": test.score.accuracy,
        "test_loss": test.score.loss,
        "calibration": {**calibration.as_dict(), "bins": BINS, "valid": _calibrated(valid), "test": _calibrated(test)},
        "test_classes": by_class(classes.labels, test.confusion),
        "verdict": {"kind": str(verdict.kind), "text": verdict.text, "advice": verdict.advice},
        "fingerprint": spec.fingerprint,
        "weights_origin": spec.weights_origin,
        "notice": spec.notice,
        "photos_left_out": list(inputs.reader.left_out),
        "seeds": {"data": manifest.get("seed"), "features": spec.seed, "training": settings["seed"]},
        **surroundings(),
    }
    save_metrics(folders.model, metrics)
    copy_serving_code(Path(__file__).parents[1], folders.model)
    write_text(folders.output / OutputFile.METRICS, json.dumps(metrics, indent=1))
    save_history(folders.output / OutputFile.HISTORY, history)
    write_report(
        folders.output / OutputFile.REPORT, _report(inputs, metrics, history, verdict, test, manifest, folders)
    )
    return metrics


def _calibrated(split: Evaluation) -> dict[str, float | None]:
    """Return how far probabilities can be believed: before the temperature was applied, and as served."""
    before = split.read_with(UNCALIBRATED)
    return {
        "loss_before": before.score.loss,
        "loss": split.score.loss,
        "calibration_error_before": before.calibration_error,
        "calibration_error": split.calibration_error,
        "confident": split.confident,
    }


def _say_calibration(valid: Evaluation, test: Evaluation) -> None:
    calibration = valid.calibration
    for name, split in (("validation", valid), ("test", test)):
        before = split.read_with(UNCALIBRATED).calibration_error
        sure = "" if split.confident is None else f"; sure of {split.confident:.1%}"
        say(
            f"{name} calibration error: {before:.4f}, at temperature {calibration.temperature:.3f} "
            f"{split.calibration_error:.4f}{sure}"
        )


def _report(
    inputs: Inputs,
    metrics: dict[str, Any],
    history: Sequence[Epoch],
    verdict: Verdict,
    test: Evaluation,
    manifest: dict[str, Any],
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
            "source_revision": metrics["source_revision"],
        },
        seed=metrics["seed"],
        manifest=manifest,
        trials=tuning.get("trials", []),
        confusion=test.confusion,
        calibration=metrics["calibration"],
        reliability=(test.read_with(UNCALIBRATED).bins, test.bins),
        versions={**metrics["versions"], **{name: str(metrics[name]) for name in ("platform", "device", "threads")}},
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

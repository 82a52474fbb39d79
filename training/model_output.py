"""What a training leaves: the artifact with its code, metrics, history and report; and the one look at the test set."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contract.names import ArtifactFile, OutputFile, PreparedFile
from training.calibration import BINS, calibrate
from training.check_set import check_photos_of, spread_over_classes
from training.evaluation import Evaluation, by_class, evaluate
from training.files import write_text
from training.history import Epoch, save_history
from training.job_inputs import Folders, Inputs
from training.learning_curve import judge
from training.predictions import save_predictions
from training.progress import say
from training.provenance import surroundings
from training.quantisation import leave_quantised
from training.report.data import collect
from training.report.page import write_report
from training.serving_code import copy_serving_code
from vision.calibration import UNCALIBRATED
from vision.check_photos import CHECK_PHOTOS
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
    photos = inputs.photos.splits["valid"]
    keep = set(spread_over_classes(photos.labels, CHECK_PHOTOS).tolist())
    valid = evaluate(model, photos, inputs.reader, keep)
    calibration = calibrate(valid.logits, valid.labels, settings["known_share"])
    save_calibration(folders.model, calibration)
    valid = valid.read_with(calibration)
    test = evaluate(model, inputs.photos.splits["test"], inputs.reader).read_with(calibration)
    _say_calibration(valid, test)
    engines = _leave_engines(inputs, folders, valid)
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
        "calibration": {
            **calibration.as_dict(),
            "bins": BINS,
            "valid": _calibrated(valid),
            "test": _calibrated(test),
            "reliability": _reliability(test),
        },
        "test_classes": by_class(classes.labels, test.confusion),
        "engines": engines,
        "verdict": {"kind": str(verdict.kind), "text": verdict.text, "advice": verdict.advice},
        "fingerprint": spec.fingerprint,
        "weights_origin": spec.weights_origin,
        "features": {"weights": spec.weights, "views": spec.views},
        "notice": spec.notice,
        "photos_left_out": list(inputs.reader.left_out),
        "seeds": {"data": manifest.get("seed"), "features": spec.seed, "training": settings["seed"]},
        **surroundings(),
    }
    save_metrics(folders.model, metrics)
    copy_serving_code(Path(__file__).parents[1], folders.model)
    write_text(folders.output / OutputFile.METRICS, json.dumps(metrics, indent=1))
    save_history(folders.output / OutputFile.HISTORY, history)
    save_predictions(folders.output / OutputFile.PREDICTIONS, test, inputs.photos.directory)
    created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    report = collect(folders.output, folders.prepared, folders.tuning, created)
    write_report(folders.output / OutputFile.REPORT, report)
    return metrics


def _leave_engines(inputs: Inputs, folders: Folders, valid: Evaluation) -> dict[str, Any]:
    """Write what engines are held against and the quantised network; return what there is to say of each engine."""
    check = check_photos_of(valid)
    check.save(folders.model / ArtifactFile.CHECK)
    model = load_artifact(folders.model)  # with its calibration
    train = inputs.photos.splits["train"]
    return {"int8": leave_quantised(model, train, inputs.reader, check, folders.model)}


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


def _reliability(test: Evaluation) -> dict[str, list[dict[str, float]]]:
    """Return how often photos are named right by probability: before the temperature was applied, and as served."""
    before = test.read_with(UNCALIBRATED)
    return {"before": [asdict(each) for each in before.bins], "served": [asdict(each) for each in test.bins]}


def _say_calibration(valid: Evaluation, test: Evaluation) -> None:
    calibration = valid.calibration
    for name, split in (("validation", valid), ("test", test)):
        before = split.read_with(UNCALIBRATED).calibration_error
        sure = "" if split.confident is None else f"; sure of {split.confident:.1%}"
        say(
            f"{name} calibration error: {before:.4f}, at temperature {calibration.temperature:.3f} "
            f"{split.calibration_error:.4f}{sure}"
        )


def _json(path: Path) -> dict[str, Any]:
    """Return what a file that only the report needs holds; where it cannot be read, nothing, and a line in the log."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        say(f"the report does without {path}: {error}")
        return {}
    return content if isinstance(content, dict) else {}

"""The final training, station by station: the probe, the fine-tuning, the artifact, the test, the report."""

import importlib.metadata
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import torch

from contract.classes import Classes
from contract.names import TUNING_FILE, OutputFile, PreparedFile
from contract.search_space import Hyperparameters
from training.activations import (
    LARGEST_CACHE_BYTES,
    ActivationSource,
    CachedViews,
    FreshViews,
    SourceSettings,
    TrainedPart,
    run_frozen_over,
)
from training.checkpoints import Checkpoints
from training.debugging import Debugger, open_debugger
from training.environment import JobInputError, StopSignal
from training.evaluation import Evaluation, evaluate
from training.features import Features, load_features
from training.files import write_text
from training.fine_tuning import FIRST_TRAINED, FineTuner, FineTuning, Tools
from training.head_fitting import HeadFit, fit_head, steps_per_epoch
from training.history import Epoch, save_history
from training.learning_curve import judge
from training.photo_set import PhotoReader, PhotoSet, open_photo_set
from training.progress import Progress, say
from training.report import ReportData, write_report
from training.serving_code import copy_serving_code
from vision.backbones import load_backbone
from vision.classifier import Classifier, load_artifact, save_artifact, save_metrics

# The tuned batch size belongs to the head on cached features; photos through a backbone need another.
FINE_TUNE_BATCH: Final = 32
CACHED_VIEWS: Final = 4
# The head has been fitted already: it follows the backbone, at a multiple of its learning rate.
HEAD_LR_FACTOR: Final = 10.0
# How often the tensors are saved over the whole training.
SAVES: Final = 40
REPORTED_PACKAGES: Final = ("torch", "torchvision", "timm", "numpy", "pillow", "smdebug")


@dataclass(frozen=True)
class Folders:
    """Inputs and outputs of the job."""

    prepared: Path
    features: Path
    tuning: Path | None
    model: Path
    output: Path
    checkpoints: Path


@dataclass(frozen=True)
class Settings:
    """The options of the job; ``fine_tune_views`` None: chosen by device and size."""

    hyperparameters: Hyperparameters
    fine_tune_epochs: int
    backbone_lr: float
    fine_tune_views: int | None
    weights_uri: str | None
    seed: int


@dataclass(frozen=True)
class _Inputs:
    photos: PhotoSet
    features: Features
    reader: PhotoReader


def train_model(folders: Folders, settings: Settings, stop: StopSignal) -> dict[str, Any]:
    """Train, leave artifact and output, and return metrics.json.

    Raises:
        JobInputError: an input cannot be used or does not belong to the others.
        Interrupted: SIGTERM came; the checkpoints hold what was finished.
    """
    inputs = _open_inputs(folders)
    hyperparameters, total = settings.hyperparameters, settings.hyperparameters.epochs + settings.fine_tune_epochs
    progress = Progress(total)
    debugger = open_debugger(folders.output / OutputFile.TENSORS, _save_interval(inputs, settings))
    try:

        def on_epoch(row: Epoch) -> None:
            progress.epoch(row)
            stop.check()

        fit = fit_head(inputs.features, hyperparameters, settings.seed, on_epoch, debugger)
        classifier, fine_tuned = _fine_tune(inputs, fit, folders, settings, Run(debugger, stop, progress))
    finally:
        debugger.close()
    history = [*fit.history, *fine_tuned]
    return _finish(inputs, classifier, history, folders, settings)


@dataclass(frozen=True)
class Run:
    """What watches the run."""

    debugger: Debugger
    stop: StopSignal
    progress: Progress


def _open_inputs(folders: Folders) -> _Inputs:
    photos, features = open_photo_set(folders.prepared), load_features(folders.features)
    if features.spec.classes != photos.classes.folders:
        differing = sorted(set(features.spec.classes) ^ set(photos.classes.folders))
        raise JobInputError(
            f"the features in {folders.features} are of other classes than the photos in {folders.prepared} "
            f"(only in one of them: {', '.join(differing[:10]) or 'none, but in another order'}); "
            "run extract_features.py on these photos"
        )
    if features.spec.fingerprint != photos.fingerprint:
        raise JobInputError(
            f"the features in {folders.features} are of other photos (fingerprint {features.spec.fingerprint}) than "
            f"those in {folders.prepared} ({photos.fingerprint}); run extract_features.py on these photos"
        )
    return _Inputs(photos, features, PhotoReader(folders.prepared))


def _save_interval(inputs: _Inputs, settings: Settings) -> int:
    photos = len(inputs.features.train.labels)
    probe = steps_per_epoch(photos, settings.hyperparameters.batch_size) * settings.hyperparameters.epochs
    return max(1, (probe + settings.fine_tune_epochs * -(-photos // FINE_TUNE_BATCH)) // SAVES)


def _fine_tune(
    inputs: _Inputs, fit: HeadFit, folders: Folders, settings: Settings, run: Run
) -> tuple[Classifier, list[Epoch]]:
    """Return the classifier with the best weights, and the epochs of the fine-tuning."""
    spec = inputs.features.spec
    loaded = load_backbone(spec.backbone, settings.weights_uri, spec.weights, spec.seed)
    if loaded.backbone.digest() != spec.weights_digest:
        raise JobInputError(
            f"the weights from {loaded.origin} are not those that the features in {folders.features} were made with "
            f"({spec.weights_origin}); run extract_features.py again"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backbone, head = loaded.backbone.to(device), fit.head.to(device)
    history: list[Epoch] = []
    if settings.fine_tune_epochs > 0:
        part = TrainedPart(backbone, FIRST_TRAINED[backbone.name])
        source, source_settings = _source(inputs, part, settings, run.stop)
        valid = run_frozen_over(part, inputs.photos.splits["valid"], inputs.reader, 1, 0, run.stop)
        tuning = FineTuning(
            settings.fine_tune_epochs, settings.backbone_lr, settings.backbone_lr * HEAD_LR_FACTOR, FINE_TUNE_BATCH
        )
        checkpoints = Checkpoints(folders.checkpoints, _identity(inputs, settings, source_settings))
        tools = Tools(checkpoints, run.debugger, run.stop, run.progress.epoch)
        steps = -(-len(inputs.photos.splits["train"]) // FINE_TUNE_BATCH)
        history = FineTuner(part, head, source, valid, tuning).run(tools, steps, len(fit.history))
    return Classifier(backbone, head.folded()).cpu().eval(), history


def _source(
    inputs: _Inputs, part: TrainedPart, settings: Settings, stop: StopSignal
) -> tuple[ActivationSource, SourceSettings]:
    photos = inputs.photos.splits["train"]
    views = settings.fine_tune_views
    if views is None:
        one = part.run_frozen(torch.zeros(1, 3, *[part.backbone.preprocessing.crop] * 2, device=part.device))
        fits = CACHED_VIEWS * len(photos) * one.numel() * 2 <= LARGEST_CACHE_BYTES
        views = min(CACHED_VIEWS, settings.fine_tune_epochs) if part.device.type == "cpu" and fits else 0
    chosen = SourceSettings(FINE_TUNE_BATCH, settings.seed, views)
    if views == 0:
        return FreshViews(part, photos, inputs.reader, chosen), chosen
    say(f"running the frozen part of {part.backbone.name} over {views} views of {len(photos):,} photos")
    cache = run_frozen_over(part, photos, inputs.reader, views, settings.seed, stop)
    return CachedViews(cache, chosen, part.device), chosen


def _identity(inputs: _Inputs, settings: Settings, source: SourceSettings) -> dict[str, Any]:
    spec = inputs.features.spec
    return {
        "fingerprint": spec.fingerprint,
        "weights_digest": spec.weights_digest,
        "backbone": spec.backbone,
        "hyperparameters": settings.hyperparameters.as_dict(),
        "fine_tune_epochs": settings.fine_tune_epochs,
        "backbone_lr": settings.backbone_lr,
        "views": [spec.views, source.views],
        "seed": settings.seed,
    }


def _finish(
    inputs: _Inputs, classifier: Classifier, history: Sequence[Epoch], folders: Folders, settings: Settings
) -> dict[str, Any]:
    """Leave artifact, output and report; return metrics.json."""
    classes, spec = inputs.photos.classes, inputs.features.spec
    save_artifact(folders.model, classifier, classes, {})
    model = load_artifact(folders.model)
    valid = evaluate(model, inputs.photos.splits["valid"], inputs.reader)
    test = evaluate(model, inputs.photos.splits["test"], inputs.reader)
    verdict = judge(history, len(classes))
    metrics = {
        "backbone": spec.backbone,
        "classes": len(classes),
        "hyperparameters": settings.hyperparameters.as_dict(),
        "fine_tune_epochs": settings.fine_tune_epochs,
        "backbone_lr": settings.backbone_lr,
        "valid_accuracy": valid.score.accuracy,
        "valid_loss": valid.score.loss,
        "test_accuracy": test.score.accuracy,
        "test_loss": test.score.loss,
        "verdict": {"kind": str(verdict.kind), "text": verdict.text, "advice": verdict.advice},
        "fingerprint": spec.fingerprint,
        "weights_origin": spec.weights_origin,
        "notice": spec.notice,
        "photos_left_out": list(inputs.reader.left_out),
        "seed": settings.seed,
        "versions": _versions(),
    }
    save_metrics(folders.model, metrics)
    copy_serving_code(Path(__file__).parents[1], folders.model)
    write_text(folders.output / OutputFile.METRICS, json.dumps(metrics, indent=1))
    save_history(folders.output / OutputFile.HISTORY, history)
    _report(metrics, classes, history, test, folders)
    return metrics


def _report(
    metrics: dict[str, Any], classes: Classes, history: Sequence[Epoch], test: Evaluation, folders: Folders
) -> None:
    notices = [metrics["notice"]] if metrics["notice"] else []
    if metrics["photos_left_out"]:
        notices.append(f"Left out because they could not be decoded: {', '.join(metrics['photos_left_out'])}.")
    data = ReportData(
        backbone=metrics["backbone"],
        labels=classes.labels,
        history=tuple(history),
        verdict=judge(history, len(classes)),
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
        manifest=_json(folders.prepared / PreparedFile.MANIFEST) or {},
        trials=(_json(folders.tuning / TUNING_FILE) or {}).get("trials", []) if folders.tuning else [],
        confusion=test.confusion,
        versions=metrics["versions"],
        notices=tuple(notices),
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    write_report(folders.output / OutputFile.REPORT, data)


def _json(path: Path) -> dict[str, Any] | None:
    """Return what a file that only the report needs holds, or None, with a line in the log."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        say(f"the report does without {path}: {error}")
        return None
    return content


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in REPORTED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found

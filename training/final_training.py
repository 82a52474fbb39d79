"""The final training, station by station: the probe, the fine-tuning, then what they leave."""

import math
from dataclasses import dataclass
from typing import Any, Final

import torch

from contract.names import OutputFile
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
from training.fine_tuning import BACKBONE_LR, FIRST_TRAINED, FineTuner, FineTuning, Tools
from training.head_fitting import HeadFit, fit_head, steps_per_epoch
from training.history import Epoch
from training.job_inputs import Folders, Inputs, Settings, open_inputs
from training.model_output import leave_model
from training.progress import Progress, say
from vision.backbones import Backbone, load_backbone
from vision.classifier import Classifier

# The tuned batch size belongs to the head on cached features; photos through a backbone need another.
FINE_TUNE_BATCH: Final = 32
# Measured on the toy set (docs/decisions): one or two are worse, more are no better.
CACHED_VIEWS: Final = 3
# The head has been fitted already: it follows the backbone, at a multiple of its learning rate.
HEAD_LR_FACTOR: Final = 10.0
# How often the tensors are saved over the whole training.
SAVES: Final = 40


@dataclass(frozen=True)
class _Run:
    """What watches the run."""

    debugger: Debugger
    stop: StopSignal
    progress: Progress

    def epoch(self, row: Epoch) -> None:
        """Report an epoch; stop after it if asked to."""
        self.progress.epoch(row)
        self.stop.check()


def train_model(folders: Folders, settings: Settings, stop: StopSignal) -> dict[str, Any]:
    """Train, leave artifact and output, and return metrics.json.

    Raises:
        JobInputError: an input cannot be used or does not belong to the others.
        Interrupted: SIGTERM came; the checkpoints hold what was finished.
    """
    inputs = open_inputs(folders)
    backbone = _backbone(inputs, settings)
    backbone_lr = settings.backbone_lr or BACKBONE_LR[backbone.name]
    debugger = open_debugger(folders.output / OutputFile.TENSORS, _save_interval(inputs, settings))
    run = _Run(debugger, stop, Progress(settings.hyperparameters.epochs, settings.fine_tune_epochs))
    try:
        fit = fit_head(inputs.features, settings.hyperparameters, settings.seed, run.epoch, debugger)
        history = list(fit.history)
        fit.head.to(next(backbone.parameters()).device)
        if settings.fine_tune_epochs > 0:
            history += _fine_tune(inputs, fit, backbone, backbone_lr, folders, settings, run)
    finally:
        debugger.close()
    stop.check()
    classifier = Classifier(backbone, fit.head.folded()).cpu().eval()
    made_by = {
        "hyperparameters": settings.hyperparameters.as_dict(),
        "fine_tune_epochs": settings.fine_tune_epochs,
        "backbone_lr": backbone_lr,
        "seed": settings.seed,
    }
    return leave_model(inputs, classifier, history, folders, made_by)


def _backbone(inputs: Inputs, settings: Settings) -> Backbone:
    """Return the backbone that the features come from, with the same weights."""
    spec = inputs.features.spec
    loaded = load_backbone(spec.backbone, settings.weights_uri, spec.weights, spec.seed)
    if loaded.backbone.digest() != spec.weights_digest:
        raise JobInputError(
            f"the weights from {loaded.origin} are not those that the features were made with ({spec.weights_origin}); "
            "run extract_features.py again"
        )
    return loaded.backbone.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _save_interval(inputs: Inputs, settings: Settings) -> int:
    photos = len(inputs.features.train.labels)
    probe = steps_per_epoch(photos, settings.hyperparameters.batch_size) * settings.hyperparameters.epochs
    return max(1, (probe + settings.fine_tune_epochs * math.ceil(photos / FINE_TUNE_BATCH)) // SAVES)


def _fine_tune(
    inputs: Inputs,
    fit: HeadFit,
    backbone: Backbone,
    backbone_lr: float,
    folders: Folders,
    settings: Settings,
    run: _Run,
) -> list[Epoch]:
    """Fine-tune backbone and head in place, to their best epoch, and return the epochs."""
    splits = inputs.photos.splits
    part = TrainedPart(backbone, FIRST_TRAINED[backbone.name])
    chosen = SourceSettings(FINE_TUNE_BATCH, settings.seed, _views(inputs, part, settings))
    tuning = FineTuning(settings.fine_tune_epochs, backbone_lr, backbone_lr * HEAD_LR_FACTOR, FINE_TUNE_BATCH)
    checkpoints = Checkpoints(folders.checkpoints, _identity(inputs, settings, tuning, chosen))
    source = _source(inputs, part, chosen, run.stop)
    valid = run_frozen_over(part, splits["valid"], inputs.reader, 1, settings.seed, run.stop)
    steps = math.ceil(len(splits["train"]) / FINE_TUNE_BATCH)
    tools = Tools(checkpoints, run.debugger, run.stop, run.epoch)
    return FineTuner(part, fit.head, source, valid, tuning).run(tools, steps, len(fit.history))


def _views(inputs: Inputs, part: TrainedPart, settings: Settings) -> int:
    """Return how many views to cache per photo: none on a GPU, or where they would not fit."""
    if settings.fine_tune_views is not None:
        return settings.fine_tune_views
    crop = part.backbone.preprocessing.crop
    one = part.run_frozen(torch.zeros(1, 3, crop, crop, device=part.device)).numel() * torch.float16.itemsize
    fits = CACHED_VIEWS * len(inputs.photos.splits["train"]) * one <= LARGEST_CACHE_BYTES
    return min(CACHED_VIEWS, settings.fine_tune_epochs) if part.device.type == "cpu" and fits else 0


def _source(inputs: Inputs, part: TrainedPart, chosen: SourceSettings, stop: StopSignal) -> ActivationSource:
    photos = inputs.photos.splits["train"]
    if chosen.views == 0:
        return FreshViews(part, photos, inputs.reader, chosen)
    say(f"running the frozen part of {part.backbone.name} over {chosen.views} views of {len(photos):,} photos")
    cache = run_frozen_over(part, photos, inputs.reader, chosen.views, chosen.seed, stop)
    return CachedViews(cache, chosen, part.device)


def _identity(inputs: Inputs, settings: Settings, tuning: FineTuning, chosen: SourceSettings) -> dict[str, Any]:
    """Return all that must be the same for a checkpoint to be continued from."""
    spec = inputs.features.spec
    return {
        "fingerprint": spec.fingerprint,
        "classes": list(spec.classes),
        "weights_digest": spec.weights_digest,
        "features": [spec.views, spec.seed],
        "hyperparameters": settings.hyperparameters.as_dict(),
        "fine_tuning": [tuning.epochs, tuning.backbone_lr, tuning.head_lr, tuning.batch_size],
        "first_trained": FIRST_TRAINED[spec.backbone],
        "views": chosen.views,
        "seed": settings.seed,
    }

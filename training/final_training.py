"""The final training, station by station: the probe, the fine-tuning, then what they leave."""

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import torch

from contract.names import OutputFile
from training.activations import (
    LARGEST_CACHE_BYTES,
    Activations,
    ActivationSource,
    CachedViews,
    FreshViews,
    SourceSettings,
    TrainedPart,
    run_frozen_over,
)
from training.augmentation import PixelChanges
from training.checkpoints import Checkpoints
from training.environment import JobInputError, StopSignal
from training.fine_tuning import BACKBONE_LR, FIRST_TRAINED, FineTuner, FineTuning, Tools
from training.head_fitting import HeadFit, fit_head, steps_per_epoch
from training.history import Epoch
from training.job_inputs import Folders, Inputs, Settings, open_inputs
from training.journal import NO_JOURNAL, Journal
from training.mixing import Mixing
from training.model_output import leave_model
from training.photo_batches import loader_threads
from training.photo_set import LabelledPhoto
from training.precision import choose_precision
from training.profiling.leave import leave_profile
from training.profiling.loader import with_loader_timed
from training.profiling.profiler import NO_PROFILER, Phase, Profiler
from training.profiling.recording import open_profiler
from training.progress import Progress, say
from training.rules.watch import RuleWatch
from training.supervision import Supervision
from training.trained_network import most_at_once
from training.world import ALONE, BatchPlan, World, plan_batches
from vision.backbones import Backbone, load_backbone
from vision.classifier import Classifier
from vision.preprocessing import Preprocessing

# Measured on the toy set (docs/decisions): one or two are worse, more are no better.
CACHED_VIEWS: Final = 3
# The head has been fitted already: it follows the backbone, at a multiple of its learning rate.
HEAD_LR_FACTOR: Final = 10.0
# How often the tensors are saved over the whole training. A save of ResNet50's last stage takes 0.36 s on two cores: at
# 16 saves 2.6 % of the 220 s that 8 epochs of 700 photos take there on cached activations, and less of any longer one.
SAVES: Final = 16


@dataclass(frozen=True)
class _Run:
    """What watches the run, and the processes that it is spread over."""

    supervision: Supervision
    stop: StopSignal
    progress: Progress
    world: World
    profiler: Profiler = NO_PROFILER
    journal: Journal = NO_JOURNAL

    def epoch(self, row: Epoch) -> None:
        """Report an epoch; stop after it if asked to. Several processes stop between two steps, together."""
        self.progress.epoch(row)
        self.journal.epoch(row)
        self.supervision.look()
        if self.world.size == 1:
            self.stop.check()


def train_model(
    folders: Folders, settings: Settings, stop: StopSignal, world: World = ALONE, journal: Journal = NO_JOURNAL
) -> dict[str, Any] | None:
    """Train, leave artifact and output, and return metrics.json; None in a process that is not the chief.

    Raises:
        JobInputError: an input cannot be used or does not belong to the others.
        Interrupted: SIGTERM came; the checkpoints hold what was finished.
        StoppedByRuleError: a rule has found what makes it pointless to go on.
    """
    inputs = open_inputs(folders)
    backbone = _backbone(inputs, settings, world)
    settings = _settled(settings, backbone)
    watch = RuleWatch(settings.rules, settings.stop_early, inputs.photos.classes.labels)
    supervision = Supervision(
        folders.output, folders.checkpoints, watch, _save_interval(inputs, settings), world.is_chief
    )
    profiler = open_profiler(settings.profiled and world.is_chief, folders.output / OutputFile.TRACE, world.device)
    run = _Run(
        supervision,
        stop,
        Progress(settings.hyperparameters.epochs, settings.fine_tune_epochs),
        world,
        profiler,
        journal,
    )
    with closing(profiler), supervision:
        with profiler.phase(Phase.PROBE):
            fit = fit_head(inputs.features, settings.hyperparameters, settings.seed, run.epoch, supervision.debugger)
        history = list(fit.history)
        fit.head.to(world.device)
        if settings.fine_tune_epochs > 0:
            history += _FineTune(inputs, settings, run).run(fit, backbone, folders)
        watch.take(*leave_profile(profiler.finish(), folders.output))
    # SIGTERM finds each process at another place, and those that have passed here wait for all of them below.
    (asked_to_stop,) = world.sum_of(float(stop.received), device=world.device)
    stop.check(elsewhere=asked_to_stop > 0)
    inputs.reader.note(inputs.features.spec.left_out, "it could not be decoded when the features were made")
    inputs.reader.note(
        world.gather(inputs.reader.left_out), f"another of the {world.size} processes could not decode it"
    )
    if not world.is_chief:
        return None
    backbone.preprocessing = _tested_with(backbone, settings)
    classifier = Classifier(backbone, fit.head.folded()).cpu().eval()
    made_by = {
        "hyperparameters": settings.hyperparameters.as_dict(),
        "fine_tune_epochs": settings.fine_tune_epochs,
        **settings.recipe.as_dict(),
        "processes": world.size,
        "seed": settings.seed,
        "known_share": settings.known_share,
        "source_revision": settings.source_revision,
        "findings": [finding.as_dict() for finding in watch.findings],
    }
    return leave_model(inputs, classifier, history, folders, made_by)


def _backbone(inputs: Inputs, settings: Settings, world: World) -> Backbone:
    """Return the backbone that the features come from, with the same weights."""
    spec = inputs.features.spec
    loaded = load_backbone(spec.backbone, settings.weights_uri, spec.weights, spec.seed)
    if loaded.backbone.digest() != spec.weights_digest:
        raise JobInputError(
            f"the weights from {loaded.origin} are not those that the features were made with ({spec.weights_origin}); "
            "run extract_features.py again"
        )
    return loaded.backbone.to(world.device)


def _settled(settings: Settings, backbone: Backbone) -> Settings:
    """Return the settings with the backbone's and the tuning's own choices in place of what was left open."""
    recipe = settings.recipe
    return replace(
        settings,
        recipe=replace(
            recipe,
            first_trained=recipe.first_trained or FIRST_TRAINED[backbone.name],
            backbone_lr=recipe.backbone_lr or BACKBONE_LR[backbone.name],
            fine_tune_batch=recipe.fine_tune_batch or settings.hyperparameters.batch_size,
        ),
    )


def _save_interval(inputs: Inputs, settings: Settings) -> int:
    photos = len(inputs.features.train.labels)
    probe = steps_per_epoch(photos, settings.hyperparameters.batch_size) * settings.hyperparameters.epochs
    fine_tuning = settings.fine_tune_epochs * math.ceil(photos / settings.recipe.fine_tune_batch)
    return max(1, (probe + fine_tuning) // SAVES)


def _tested_with(backbone: Backbone, settings: Settings) -> Preprocessing:
    """Return the preprocessing of validation, test and serving: the same part of a photo at its own resolution."""
    own, crop = backbone.preprocessing, settings.recipe.test_resolution
    return own if crop is None else replace(own, crop=crop, resize=round(own.resize * crop / own.crop))


@dataclass(frozen=True)
class _FineTune:
    """Fine-tunes backbone and head in place, to their best epoch."""

    inputs: Inputs
    settings: Settings
    watch: _Run

    def run(self, fit: HeadFit, backbone: Backbone, folders: Folders) -> list[Epoch]:
        """Return the epochs."""
        recipe, stop, world = self.settings.recipe, self.watch.stop, self.watch.world
        precision = choose_precision(recipe.precision, world.device)
        slower = "" if precision.native else ", which this machine emulates: slower than fp32"
        say(f"fine-tuning from {recipe.first_trained} on in {str(precision.dtype).removeprefix('torch.')}{slower}")
        assert recipe.first_trained is not None
        part = TrainedPart(backbone, recipe.first_trained, precision)
        plan = self._plan(part, fit)
        chosen = self._source_settings(part, plan)
        tuning = self._tuning(plan)
        checkpoints = Checkpoints(folders.checkpoints, self._identity(plan, chosen))
        source = self._source(part, chosen)
        photos = self.inputs.photos.splits["valid"]
        # Each process validates its share; where there are fewer photos than processes, each validates all.
        own = photos[world.rank :: world.size] if len(photos) >= world.size else photos
        one_view = replace(chosen, views=1)
        tested_with = _tested_with(backbone, self.settings)
        with self.watch.profiler.phase(Phase.CACHE):
            valid = self._some(run_frozen_over(part, own, self.inputs.reader, one_view, stop, tested_with), photos)
        steps = plan.steps(len(self.inputs.photos.splits["train"]))
        tools = Tools(checkpoints, self.watch.supervision.debugger, stop, self.watch.epoch, self.watch.profiler)
        self._describe(source, plan, chosen)
        return FineTuner(part, fit.head, source, valid, tuning).run(tools, steps, len(fit.history))

    def _some(self, found: Activations, photos: Sequence[LabelledPhoto]) -> Activations:
        """Return what was found if any process found something.

        Raises:
            JobInputError: not one of the photos can be decoded.
        """
        if self.watch.world.sum_of(len(found.labels), device=self.watch.world.device) == [0]:
            raise JobInputError(f"not one of {len(photos)} photos can be decoded, the first is {photos[0].path}")
        return found

    def _describe(self, source: ActivationSource, plan: BatchPlan, chosen: SourceSettings) -> None:
        if not isinstance(source, FreshViews):
            self.watch.profiler.describe(plan.batch, None)
            return
        photos, reader = self.inputs.photos.splits["train"], self.inputs.reader
        timed = partial(with_loader_timed, photos, reader, source.transform(1))
        self.watch.profiler.describe(plan.batch, chosen.threads or loader_threads(), timed)

    def _plan(self, part: TrainedPart, fit: HeadFit) -> BatchPlan:
        recipe = self.settings.recipe
        together = 2 if recipe.mixup or recipe.cutmix else 1
        plan = plan_batches(recipe.fine_tune_batch, most_at_once(part, fit.head), self.watch.world, together)
        if plan.accumulated > 1 or plan.world.size > 1:
            say(
                f"{plan.batch} photos per step: {plan.micro_batch} at once, {plan.accumulated} times, "
                f"in {plan.world.size} process{'es' if plan.world.size > 1 else ''}"
            )
        return plan

    def _source_settings(self, part: TrainedPart, plan: BatchPlan) -> SourceSettings:
        recipe = self.settings.recipe
        classes = len(self.inputs.photos.classes)
        mixing = Mixing(recipe.mixup, recipe.cutmix, classes) if recipe.mixup or recipe.cutmix else None
        changes = PixelChanges(recipe.randaugment, recipe.random_erasing)
        threads, profiler = self.settings.loader_threads, self.watch.profiler
        return SourceSettings(plan, self.settings.seed, self._views(part), changes, mixing, threads, profiler)

    def _views(self, part: TrainedPart) -> int:
        """Return how many views to cache per photo: none on a GPU, where they would not fit, or pixels change."""
        settings = self.settings
        if pixels := settings.recipe.pixel_augmentations:
            say(
                f"no cached activations: {', '.join(pixels)} change pixels, so the frozen part runs over every photo "
                "again in every epoch"
            )
            return 0
        if settings.fine_tune_views is not None:
            return settings.fine_tune_views
        if part.device.type != "cpu":
            return 0
        crop = part.backbone.preprocessing.crop
        one = part.run_frozen(torch.zeros(1, 3, crop, crop)).numel() * torch.float16.itemsize  # bytes
        fit = LARGEST_CACHE_BYTES // (one * len(self.inputs.photos.splits["train"]))
        # A single view is the photo as serving sees it: nothing augmented.
        return min(CACHED_VIEWS, settings.fine_tune_epochs, fit) if fit >= 2 else 0

    def _source(self, part: TrainedPart, chosen: SourceSettings) -> ActivationSource:
        """Return the training set; where it is cached, every process caches all, for each may meet every photo."""
        photos, reader = self.inputs.photos.splits["train"], self.inputs.reader
        if chosen.views == 0:
            return FreshViews(part, photos, reader, chosen)
        say(f"running the frozen part of {part.backbone.name} over {chosen.views} views of {len(photos):,} photos")
        with self.watch.profiler.phase(Phase.CACHE):
            cache = self._some(run_frozen_over(part, photos, reader, chosen, self.watch.stop), photos)
        return CachedViews(cache, chosen, part.device)

    def _tuning(self, plan: BatchPlan) -> FineTuning:
        recipe = self.settings.recipe
        assert recipe.backbone_lr is not None
        return FineTuning(
            self.settings.fine_tune_epochs,
            recipe.backbone_lr,
            recipe.backbone_lr * HEAD_LR_FACTOR,
            plan,
            recipe.optimizer,
            recipe.label_smoothing,
            recipe.ema,
            self._class_weights() if recipe.class_balance else None,
        )

    def _class_weights(self) -> tuple[float, ...]:
        """Return what a photo of each class counts so that all classes count the same; 1 on average over the photos."""
        labels = torch.from_numpy(self.inputs.photos.splits["train"].labels)  # (photos,)
        counts = torch.bincount(labels, minlength=len(self.inputs.photos.classes))
        return tuple((len(labels) / (len(counts) * counts.clamp_min(1))).tolist())

    def _identity(self, plan: BatchPlan, chosen: SourceSettings) -> dict[str, Any]:
        """Return all that must be the same for a checkpoint to be continued from."""
        spec = self.inputs.features.spec
        return {
            "fingerprint": spec.fingerprint,
            "classes": list(spec.classes),
            "weights_digest": spec.weights_digest,
            "features": [spec.views, spec.seed],
            "hyperparameters": self.settings.hyperparameters.as_dict(),
            "epochs": self.settings.fine_tune_epochs,
            "recipe": self.settings.recipe.as_dict(),
            "batch": plan.batch,  # not its parts: another machine may go on with other ones
            "views": chosen.views,
            "seed": self.settings.seed,
        }

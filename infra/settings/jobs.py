"""The jobs: where they run, for how long, and how often they are tried."""

from dataclasses import dataclass
from typing import Final

from contract.metrics import Objective
from infra.checks import Flag, OneOf, SettingsError, WholeNumber, checked, section, verify
from infra.settings.texts import INSTANCE_TYPE, is_gpu

_DAYS_5: Final = 5 * 24 * 3600  # SageMaker's own limit on a training job's run time


@dataclass(frozen=True, kw_only=True)
class Job:
    """Where one kind of job runs, and for how long at most."""

    instance_type: str = checked(
        "ml.m5.large", INSTANCE_TYPE, "What the job runs on; ml.g... and ml.p... take the image with CUDA."
    )
    volume_gb: int = checked(30, WholeNumber(1, 16_384), "The disk beside it, in GB.")
    max_runtime_seconds: int = checked(3600, WholeNumber(60, _DAYS_5), "SageMaker stops the job after so long.")
    spot: bool = checked(
        False, Flag(), "On spare capacity, cheaper and interrupted now and then; checkpoints let it go on."
    )
    # SageMaker wants MaxWaitTimeInSeconds >= MaxRuntimeInSeconds: as an addition it cannot be wrong.
    spot_wait_seconds: int = checked(
        3600, WholeNumber(0, _DAYS_5), "How long to wait for spare capacity, on top of the run time."
    )
    keep_alive_seconds: int = checked(
        0,
        WholeNumber(0, 3600),
        "A warm pool: how long the instance waits, at its full price, for the next such job; 0: not at all.",
    )

    def __post_init__(self) -> None:
        """Refuse values that SageMaker would refuse."""
        verify(self)
        if self.spot and self.keep_alive_seconds:
            raise SettingsError("keep_alive_seconds", self.keep_alive_seconds, "0, since spot instances are not kept,")

    @property
    def gpu(self) -> bool:
        """Whether the job needs the image with CUDA."""
        return is_gpu(self.instance_type)


_GPU_JOB: Final = Job(instance_type="ml.g4dn.xlarge", volume_gb=50, max_runtime_seconds=4 * 3600, spot=True)
_PREPARE_JOB: Final = Job(volume_gb=50)
_TRIAL: Final = Job()


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """One entry per job of the pipeline."""

    prepare: Job = section(_PREPARE_JOB, "Fetches the photos, checks each, makes them all alike.")
    extract: Job = section(_GPU_JOB, "One pass of the backbone over all photos.")
    tune: Job = section(_TRIAL, "One trial of the tuning, or all of them (tuning.mode).")
    train: Job = section(_GPU_JOB, "The final training.")

    def __post_init__(self) -> None:
        """Refuse a warm pool for trials: a tuning job hands its instances from trial to trial by itself."""
        kept = self.tune.keep_alive_seconds
        if kept:
            raise SettingsError("tune.keep_alive_seconds", kept, "0, since a tuning job keeps its own,")


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often a job is tried again that found no capacity or met an internal error of AWS; never a failed script."""

    attempts: int = checked(3, WholeNumber(0, 9), "How many more times.")
    wait_seconds: int = checked(
        300, WholeNumber(1, 3600), "How long to wait before the first; doubled from one attempt to the next."
    )

    def __post_init__(self) -> None:
        """Refuse values that Step Functions would refuse."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """How the hyperparameters are searched; how many trials stands with the defaults of an execution."""

    mode: str = checked(
        "jobs",
        OneOf(("jobs", "single_job")),
        "jobs: SageMaker's tuner starts a job per trial, side by side; single_job: one job runs all trials, one after "
        "the other, within minutes: where starting an instance takes longer than a trial.",
    )
    strategy: str = checked(
        "bayesian",
        OneOf(("bayesian", "random", "hyperband")),
        "Where to look next, and which trials to end. jobs: SageMaker's strategies of these names. single_job: random "
        "draws each trial by itself, the others spread the trials evenly over the space. hyperband lets the best "
        "third go on after 2 epochs, and again after 6; some trials are compared after 6 epochs only.",
    )
    objective: str = checked(
        "accuracy",
        OneOf(tuple(str(objective) for objective in Objective)),
        "What is compared, on the whole validation set: accuracy (equal ones by the loss), or loss.",
    )
    early_stopping: bool = checked(
        True,
        Flag(),
        "A trial is ended whose objective, epoch by epoch, stays below the median of the others; hyperband has a rule "
        "of its own instead.",
    )
    # 1: more moved the accuracy by chance only (docs/decisions, 2). 64: ResNet50's features of 6,680 photos are 1.8 GB.
    views: int = checked(
        1,
        WholeNumber(1, 64),
        "How many views of each training photo the backbone reads once, the photo itself and random crops of it; the "
        "head sees one of them in each epoch. Extracting takes as many times as long.",
    )

    def __post_init__(self) -> None:
        """Refuse values that the tuner would refuse."""
        verify(self)

"""One typed object for everything that differs between stages; a wrong value cannot be built."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contract.names import MAX_TUNING_JOB_NAME, PROJECT
from infra.checks import (
    Check,
    Flag,
    Fraction,
    ListOf,
    OneOf,
    SettingsError,
    Text,
    Unset,
    WholeNumber,
    build,
    checked,
    verify,
)

# Random characters that make a run's names unique: 48 bits.
RUN_ID_LENGTH: Final = 12
# A tuning job is named <project>-<stage>-<run id>, the tightest of SageMaker's name limits.
MAX_STAGE_NAME: Final = MAX_TUNING_JOB_NAME - len(PROJECT) - RUN_ID_LENGTH - 2
BACKBONES: Final = ("auto", "resnet50", "efficientnet_lite0")
UDACITY_DOGS: Final = "https://s3-us-west-1.amazonaws.com/udacity-aind/dog-project/dogImages.zip"

# Values end up inside JSONata string literals and CloudFormation: nothing that could end such a literal.
_PLAIN: Final = r"[^'\"\\{}%$\s]+"
_INSTANCE: Final = Text(r"ml\.[a-z0-9-]+\.[a-z0-9]+", "a SageMaker instance type such as ml.m5.large")
_STAGE: Final = Text(
    rf"[a-z][a-z0-9]{{0,{MAX_STAGE_NAME - 1}}}", f"a stage name of 1 to {MAX_STAGE_NAME} lower-case letters and digits"
)
_DAY: Final = 24 * 3600
_DAYS_5: Final = 5 * _DAY  # SageMaker's own limit on a training job's run time


def _is_gpu(instance_type: str) -> bool:
    return instance_type.startswith(("ml.g", "ml.p"))


@dataclass(frozen=True, kw_only=True)
class Job:
    """Where one kind of job runs, and for how long at most."""

    instance_type: str = checked("ml.m5.large", _INSTANCE)
    volume_gb: int = checked(30, WholeNumber(1, 16_384))
    max_runtime_seconds: int = checked(3600, WholeNumber(60, _DAYS_5))
    spot: bool = checked(False, Flag())
    # On top of the run time: SageMaker wants MaxWaitTimeInSeconds >= MaxRuntimeInSeconds, so this cannot be wrong.
    spot_wait_seconds: int = checked(3600, WholeNumber(0, _DAYS_5))

    def __post_init__(self) -> None:
        """Refuse values that SageMaker would refuse."""
        verify(self)

    @property
    def gpu(self) -> bool:
        """Whether the job needs the image with CUDA."""
        return _is_gpu(self.instance_type)


_GPU_JOB: Final = Job(instance_type="ml.g4dn.xlarge", volume_gb=50, max_runtime_seconds=4 * 3600, spot=True)

_PREPARE_JOB: Final = Job(volume_gb=50)
_TRIAL: Final = Job()


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """One entry per job of the pipeline; ``tune`` is one trial."""

    prepare: Job = _PREPARE_JOB
    extract: Job = _GPU_JOB
    tune: Job = _TRIAL
    train: Job = _GPU_JOB


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """What serves the model."""

    instance_type: str = checked("ml.g4dn.xlarge", _INSTANCE)
    instances: int = checked(1, WholeNumber(1, 100))
    deadline_seconds: int = checked(1800, WholeNumber(60, 4 * 3600))
    # The host's system on GPU instances: its driver must be new enough for the CUDA of container/Dockerfile.
    gpu_ami: str = checked("al2023-ami-sagemaker-inference-gpu-4-1", Text(r"al2?[a-z0-9-]+", "an InferenceAmiVersion"))
    startup_seconds: int = checked(600, WholeNumber(60, 3600))

    def __post_init__(self) -> None:
        """Refuse values that SageMaker would refuse."""
        verify(self)

    @property
    def gpu(self) -> bool:
        """Whether the endpoint needs the image with CUDA."""
        return _is_gpu(self.instance_type)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a model must reach before it is deployed, in test accuracy."""

    minimum_accuracy: float = checked(0.6, Fraction())
    # Against the model in production, compared only when both were tested on the same data; on few test photos, where
    # chance alone makes larger differences, more is allowed.
    maximum_drop: float = checked(0.02, Fraction())

    def __post_init__(self) -> None:
        """Refuse what is no accuracy."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What an execution uses where its input says nothing."""

    source: str = checked(UDACITY_DOGS, Text(_PLAIN, '"toy", https://...zip or s3://bucket/prefix'))
    backbone: str = checked("auto", OneOf(BACKBONES))
    # 100: what one ListTrainingJobsForHyperParameterTuningJob call returns.
    trials: int = checked(10, WholeNumber(1, 100))
    parallel_trials: int = checked(2, WholeNumber(1, 100))
    # Epochs of the fine-tuning; null: as many as the tuner found best for the head, 0: the backbone stays frozen.
    epochs: int | None = checked(None, Unset(WholeNumber(0, 1000)))
    seed: int = checked(42, WholeNumber(0, 2**31 - 1))

    def __post_init__(self) -> None:
        """Refuse values that the jobs would refuse."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Api:
    """The front door's limits and address."""

    requests_per_second: int = checked(10, WholeNumber(1, 10_000))
    burst: int = checked(20, WholeNumber(1, 5_000))
    # {api_id}, {region} and {stage} are filled in at deploy time.
    url_template: str = checked(
        "https://{api_id}.execute-api.{region}.amazonaws.com/{stage}",
        Text(
            r"https?://[\w.:/{}-]*\{api_id\}[\w.:/{}-]*[^/]", "an http(s) URL with {api_id}, without a slash at its end"
        ),
    )

    def __post_init__(self) -> None:
        """Refuse limits that API Gateway would refuse."""
        verify(self)


# The defaults of a stage that says nothing.
_JOBS: Final = Jobs()
_ENDPOINT: Final = Endpoint()
_GATE: Final = Gate()
_DEFAULTS: Final = Defaults()
_API: Final = Api()
_LIST_OF_BUCKETS: Final[Check] = ListOf(Text(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket name"))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One stage."""

    stage: str = checked("dev", _STAGE)
    # The image of every job and of the endpoint; null: built in the cloud from container/Dockerfile.
    image: str | None = checked(None, Unset(Text(_PLAIN, "an image's name or URI")))
    jobs: Jobs = _JOBS
    endpoint: Endpoint = _ENDPOINT
    gate: Gate = _GATE
    defaults: Defaults = _DEFAULTS
    api: Api = _API
    poll_seconds: int = checked(20, WholeNumber(1, 300))
    weights_prefix: str = checked(
        "weights", Text(r"[a-z0-9-]+(/[a-z0-9-]+)*", "a key prefix without slashes at its ends")
    )
    # Buckets other than the stage's own that an s3:// source may stand in.
    source_buckets: tuple[str, ...] = checked((), _LIST_OF_BUCKETS)
    # Of the bucket and the images when the stacks are deleted. "destroy" empties them first, with a function of CDK's
    # that runs on AWS only: the laptop retains, and its whole state is removed as one folder.
    removal: str = checked("destroy", OneOf(("destroy", "retain")))

    def __post_init__(self) -> None:
        """Refuse values that cannot be deployed."""
        verify(self)

    @property
    def prefix(self) -> str:
        """What the names of everything that an execution makes begin with."""
        return f"{PROJECT}-{self.stage}"


def load_settings(stages: object, stage: object) -> Settings:
    """Return the settings of one stage from the context of cdk.json.

    Args:
        stages: the value of the context key ``stages``: stage name -> what differs from the defaults.
        stage: the value of the context key ``stage``.

    Raises:
        SettingsError: the message names the key, the value given and what is allowed.
    """
    if not isinstance(stages, Mapping):
        raise SettingsError("stages", stages, "an object with one entry per stage")
    if stage not in stages:
        raise SettingsError("stage", stage, f"one of {', '.join(stages)} (the keys of stages in cdk.json)")
    given = stages[stage]
    if isinstance(given, Mapping) and "stage" in given:
        raise SettingsError(f"stages.{stage}.stage", given["stage"], "no such key: the stage is named by its entry")
    try:
        return build(Settings, {"stage": stage, **given} if isinstance(given, Mapping) else given)
    except SettingsError as error:
        raise error.within(f"stages.{stage}") from None

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
_TIME_OF_DAY: Final = Text(r"([01]\d|2[0-3]):[0-5]\d", "a time of day such as 22:30")
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
    # A warm pool: how long the instance waits, at its full price, for the next job of the same kind; 0: not at all.
    keep_alive_seconds: int = checked(0, WholeNumber(0, 3600))

    def __post_init__(self) -> None:
        """Refuse values that SageMaker would refuse."""
        verify(self)
        if self.spot and self.keep_alive_seconds:
            raise SettingsError("keep_alive_seconds", self.keep_alive_seconds, "0, since spot instances are not kept,")

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
class Retry:
    """How often a job is tried again that found no capacity or met an internal error of AWS; never a failed script."""

    attempts: int = checked(3, WholeNumber(0, 9))
    # Doubled from one attempt to the next.
    wait_seconds: int = checked(300, WholeNumber(1, 3600))

    def __post_init__(self) -> None:
        """Refuse values that Step Functions would refuse."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """How the hyperparameters are searched; how many trials stands with the defaults of an execution."""

    # SageMaker ends a trial whose objective, epoch by epoch, stays below the median of the others.
    early_stopping: bool = checked(True, Flag())

    def __post_init__(self) -> None:
        """Refuse values that the tuner would refuse."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """How a new model takes over from the one in service; any alarm on the way puts the old one back."""

    # The new model first answers test photos on an endpoint of its own, for as long as that takes, so that not one
    # user's request reaches a model that answers with errors.
    rehearsal: bool = checked(True, Flag())
    traffic: str = checked("all_at_once", OneOf(("all_at_once", "canary")))
    # Share of the instances that take traffic first; SageMaker allows half of them at most.
    canary_percent: int = checked(50, WholeNumber(1, 50))
    # How long the alarms are watched after each shift of traffic.
    bake_seconds: int = checked(300, WholeNumber(0, 3600))
    # How long the old instances stay after that.
    termination_wait_seconds: int = checked(0, WholeNumber(0, 3600))
    # What raises the alarms: share of failed requests, and the model's 99th percentile of latency.
    maximum_error_percent: int = checked(5, WholeNumber(0, 100))
    maximum_latency_ms: int = checked(3000, WholeNumber(1, 60_000))

    def __post_init__(self) -> None:
        """Refuse values that SageMaker would refuse."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Night:
    """When the endpoint may only be small, every day."""

    # null: nights are as days.
    begins: str | None = checked(None, Unset(_TIME_OF_DAY))
    ends: str = checked("07:00", _TIME_OF_DAY)
    time_zone: str = checked("UTC", Text(r"[A-Za-z_]+(/[A-Za-z_+-]+)*", "a time zone such as Europe/Berlin"))
    instances: int = checked(1, WholeNumber(1, 100))

    def __post_init__(self) -> None:
        """Refuse values that Application Auto Scaling would refuse."""
        verify(self)


_NIGHT: Final = Night()


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How many instances serve, by the requests that come in."""

    # null: always as many as ``instances`` says.
    maximum_instances: int | None = checked(None, Unset(WholeNumber(1, 100)))
    # What one instance is to get; more are added above that.
    invocations_per_minute: int = checked(600, WholeNumber(1, 1_000_000))
    night: Night = _NIGHT

    def __post_init__(self) -> None:
        """Refuse values that Application Auto Scaling would refuse."""
        verify(self)
        if self.night.begins is not None and self.maximum_instances is None:
            raise SettingsError("night.begins", self.night.begins, "null, unless maximum_instances is set,")


_ROLLOUT: Final = Rollout()
_SCALING: Final = Scaling()


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """What serves the model."""

    instance_type: str = checked("ml.g4dn.xlarge", _INSTANCE)
    instances: int = checked(1, WholeNumber(1, 100))
    deadline_seconds: int = checked(1800, WholeNumber(60, 4 * 3600))
    # The host's system on GPU instances: its driver must be new enough for the CUDA of container/Dockerfile.
    gpu_ami: str = checked("al2023-ami-sagemaker-inference-gpu-4-1", Text(r"al2?[a-z0-9-]+", "an InferenceAmiVersion"))
    startup_seconds: int = checked(600, WholeNumber(60, 3600))
    # Share of the requests and answers that SageMaker keeps in the bucket, photos included; 0: none.
    capture_percent: int = checked(0, WholeNumber(0, 100))
    rollout: Rollout = _ROLLOUT
    scaling: Scaling = _SCALING

    def __post_init__(self) -> None:
        """Refuse values that SageMaker would refuse."""
        verify(self)
        if self.rollout.traffic == "canary" and self.instances < 2:
            raise SettingsError("rollout.traffic", "canary", "all_at_once, since a canary takes 2 or more instances,")
        most = self.scaling.maximum_instances
        if most is not None and most < self.instances:
            raise SettingsError("scaling.maximum_instances", most, f"null or at least {self.instances} (instances)")

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


@dataclass(frozen=True, kw_only=True)
class Network:
    """Where the containers of jobs and endpoint stand; without subnets, in SageMaker's own network."""

    subnets: tuple[str, ...] = checked((), ListOf(Text(r"subnet-[0-9a-f]{8,17}", "a subnet's id")))
    security_groups: tuple[str, ...] = checked((), ListOf(Text(r"sg-[0-9a-f]{8,17}", "a security group's id")))
    # Containers reach nothing at all and hold no credentials: code, photos and weights come in as channels, so the
    # source is an s3:// address or "toy", and the backbone's weights stand in the bucket.
    isolation: bool = checked(False, Flag())

    def __post_init__(self) -> None:
        """Refuse half a VPC."""
        verify(self)
        if bool(self.subnets) != bool(self.security_groups):
            raise SettingsError(
                "security_groups", self.security_groups, "subnets and security groups together, or neither of them,"
            )


@dataclass(frozen=True, kw_only=True)
class Reaper:
    """Deletes an endpoint that nobody uses, since an idle GPU costs as much as a busy one."""

    # null: endpoints are never deleted.
    idle_hours: int | None = checked(None, Unset(WholeNumber(1, 24 * 30)))
    # How long before that a notice is sent.
    notice_hours: int = checked(1, WholeNumber(1, 48))

    def __post_init__(self) -> None:
        """Refuse what no schedule could do."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who is told, and how long logs are kept."""

    # null: the topic exists, and whoever wants notices subscribes to it.
    email: str | None = checked(None, Unset(Text(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")))
    # CloudWatch Logs offers these and some longer ones.
    log_days: int = checked(30, OneOf((1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365)))

    def __post_init__(self) -> None:
        """Refuse values that CloudWatch would refuse."""
        verify(self)


# The defaults of a stage that says nothing.
_JOBS: Final = Jobs()
_ENDPOINT: Final = Endpoint()
_GATE: Final = Gate()
_DEFAULTS: Final = Defaults()
_API: Final = Api()
_RETRY: Final = Retry()
_TUNING: Final = Tuning()
_NETWORK: Final = Network()
_REAPER: Final = Reaper()
_WATCH: Final = Watch()
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
    retry: Retry = _RETRY
    tuning: Tuning = _TUNING
    network: Network = _NETWORK
    reaper: Reaper = _REAPER
    watch: Watch = _WATCH
    # "own": the rules that come with Pedigree. "managed": SageMaker's Debugger and profiler besides, for the accounts
    # that still have them (closed to new ones since 2026-07-30).
    debugger: str = checked("own", OneOf(("own", "managed")))
    # Whether a KMS key of the stage encrypts bucket, volumes, outputs and notices, instead of keys that AWS owns.
    customer_key: bool = checked(False, Flag())
    poll_seconds: int = checked(20, WholeNumber(1, 300))
    weights_prefix: str = checked(
        "weights", Text(r"[a-z0-9-]+(/[a-z0-9-]+)*", "a key prefix without slashes at its ends")
    )
    # Buckets other than the stage's own that an s3:// source may stand in.
    source_buckets: tuple[str, ...] = checked((), _LIST_OF_BUCKETS)
    # Of bucket, images and what executions made (models, their registry) when the stacks are deleted; endpoints always
    # go, since they cost money.
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

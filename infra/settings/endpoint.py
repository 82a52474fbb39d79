"""The endpoint: what serves, how a new model takes over, how many instances there are."""

from dataclasses import dataclass
from typing import Final

from contract.serving import DEFAULT_SERVING, ENGINES
from infra.checks import Flag, OneOf, SettingsError, Text, Unset, WholeNumber, checked, section, verify
from infra.settings.texts import INSTANCE_TYPE, is_gpu

_TIME_OF_DAY: Final = Text(r"([01]\d|2[0-3]):[0-5]\d", "a time of day such as 22:30")
_ZONE: Final = Text(r"[A-Za-z_]+(/[A-Za-z_+-]+)*", "a time zone such as Europe/Berlin")


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """How a new model takes over from the one in service; any alarm on the way puts the old one back."""

    rehearsal: bool = checked(
        True,
        Flag(),
        "The new model first answers a test photo on an endpoint of its own, for as long as that takes, so that not "
        "one user's request reaches a model that answers with errors.",
    )
    traffic: str = checked(
        "all_at_once", OneOf(("all_at_once", "canary")), "Whether all requests move together, or some go ahead."
    )
    canary_percent: int = checked(
        50,
        WholeNumber(1, 50),
        "Share of the instances that take traffic first; SageMaker allows half of them at most.",
    )
    bake_seconds: int = checked(
        300, WholeNumber(0, 3600), "How long the alarms are watched after each shift of traffic."
    )
    termination_wait_seconds: int = checked(0, WholeNumber(0, 3600), "How long the old instances stay after that.")
    maximum_error_percent: int = checked(5, WholeNumber(0, 100), "An alarm above this share of failed requests.")
    maximum_latency_ms: int = checked(
        3000, WholeNumber(1, 60_000), "An alarm above this 99th percentile of the model's latency."
    )

    def __post_init__(self) -> None:
        """Refuse values that SageMaker would refuse."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Night:
    """When the endpoint may only be small, every day."""

    begins: str | None = checked(None, Unset(_TIME_OF_DAY), "null: nights are as days.")
    ends: str = checked("07:00", _TIME_OF_DAY, "From then on it is day.")
    time_zone: str = checked("UTC", _ZONE, "Whose clock.")
    instances: int = checked(1, WholeNumber(1, 100), "How many instances serve at night, at most.")

    def __post_init__(self) -> None:
        """Refuse values that Application Auto Scaling would refuse."""
        verify(self)


_NIGHT: Final = Night()


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How many instances serve, by the requests that come in."""

    maximum_instances: int | None = checked(
        None, Unset(WholeNumber(1, 100)), "null: always as many as endpoint.instances says."
    )
    invocations_per_minute: int = checked(
        600, WholeNumber(1, 1_000_000), "What one instance is to get; more instances are added above that."
    )
    night: Night = section(_NIGHT)

    def __post_init__(self) -> None:
        """Refuse values that Application Auto Scaling would refuse."""
        verify(self)
        if self.night.begins is not None and self.maximum_instances is None:
            raise SettingsError("night.begins", self.night.begins, "null, unless maximum_instances is set,")


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How the model server works; each instance has one."""

    engine: str = checked(
        DEFAULT_SERVING.engine,
        OneOf(ENGINES),
        "What runs the network; auto: the fastest on the instance that names photos as the trained network does.",
    )
    batch_photos: int = checked(
        DEFAULT_SERVING.batch_photos,
        WholeNumber(0, 1024),
        "How many photos go through the network at once, at most; 0: as many as it gains from, which is measured.",
    )
    batch_wait_ms: int = checked(
        DEFAULT_SERVING.batch_wait_ms,
        WholeNumber(0, 10_000),
        "How long a photo waits at most for others that are being decoded already; none waits while the model is idle.",
    )
    queue_photos: int = checked(
        DEFAULT_SERVING.queue_photos,
        WholeNumber(1, 100_000),
        "How many photos wait at most; the next one is answered with 503 and when to try again.",
    )
    timeout_seconds: int = checked(
        DEFAULT_SERVING.timeout_seconds,
        WholeNumber(1, 60),
        "After how long a request is answered with 503; SageMaker gives up after 60 seconds.",
    )

    def __post_init__(self) -> None:
        """Refuse values that the server would refuse."""
        verify(self)


_SERVING: Final = Serving()
_ROLLOUT: Final = Rollout()
_SCALING: Final = Scaling()


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """What serves the model."""

    instance_type: str = checked(
        "ml.g4dn.xlarge", INSTANCE_TYPE, "What it runs on; ml.g... and ml.p... take the image with CUDA."
    )
    instances: int = checked(1, WholeNumber(1, 100), "How many serve; with auto-scaling, at least.")
    deadline_seconds: int = checked(
        1800,
        WholeNumber(60, 4 * 3600),
        "How long an execution waits for the endpoint to be in service, or for another execution to be done with it.",
    )
    gpu_ami: str = checked(
        "al2023-ami-sagemaker-inference-gpu-4-1",
        Text(r"al2?[a-z0-9-]+", "an InferenceAmiVersion"),
        "The host's system on GPU instances: its driver must be new enough for the CUDA of container/Dockerfile.",
    )
    startup_seconds: int = checked(600, WholeNumber(60, 3600), "How long the container may take until it answers.")
    capture_percent: int = checked(
        0,
        WholeNumber(0, 100),
        "Share of the requests and answers that SageMaker keeps in the bucket, photos included; 0: none.",
    )
    serving: Serving = section(_SERVING)
    rollout: Rollout = section(_ROLLOUT)
    scaling: Scaling = section(_SCALING)

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
        return is_gpu(self.instance_type)

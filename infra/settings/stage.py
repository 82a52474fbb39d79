"""One stage's settings as a whole, and how they are read from cdk.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contract.names import MAX_TUNING_JOB_NAME, PROJECT
from infra.checks import Flag, ListOf, OneOf, SettingsError, Text, Unset, WholeNumber, build, checked, section, verify
from infra.settings.data import Answers, Dataset, Defaults, Gate
from infra.settings.endpoint import Endpoint
from infra.settings.jobs import Jobs, Retry, Tuning
from infra.settings.surroundings import Api, Network, Reaper, Tracking, Watch
from infra.settings.texts import PLAIN
from infra.settings.training import Rules, Training

# Random characters that make a run's names unique: 36 bits, so that two of a stage's first 10,000 runs clash with a
# chance of 1 in 1,400, and are then refused.
RUN_ID_LENGTH: Final = 9
# What a job's further attempts are marked with: -r1 to -r9.
ATTEMPT_LENGTH: Final = 3
# A tuning job is named <project>-<stage>-<run id><attempt>, the tightest of SageMaker's name limits.
MAX_STAGE_NAME: Final = MAX_TUNING_JOB_NAME - len(PROJECT) - RUN_ID_LENGTH - ATTEMPT_LENGTH - 2

_STAGE: Final = Text(
    rf"[a-z][a-z0-9]{{0,{MAX_STAGE_NAME - 1}}}", f"a stage name of 1 to {MAX_STAGE_NAME} lower-case letters and digits"
)
_BUCKET: Final = Text(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket name")

# The sections of a stage that says nothing.
_JOBS: Final = Jobs()
_RETRY: Final = Retry()
_TUNING: Final = Tuning()
_TRAINING: Final = Training()
_RULES: Final = Rules()
_ENDPOINT: Final = Endpoint()
_GATE: Final = Gate()
_ANSWERS: Final = Answers()
_DATASET: Final = Dataset()
_DEFAULTS: Final = Defaults()
_API: Final = Api()
_NETWORK: Final = Network()
_TRACKING: Final = Tracking()
_REAPER: Final = Reaper()
_WATCH: Final = Watch()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One stage."""

    stage: str = checked("dev", _STAGE, "The stage's name, which is its key in cdk.json.")
    image: str | None = checked(
        None,
        Unset(Text(PLAIN, "an image's name or URI")),
        "The image of every job and of the endpoint; null: built in the cloud from container/Dockerfile.",
    )
    debugger: str = checked(
        "own",
        OneOf(("own", "managed")),
        "own: the rules that come with Pedigree; managed: SageMaker's Debugger and profiler besides, for the accounts "
        "that still have them (closed to new ones since 2026-07-30).",
    )
    profiler: bool = checked(
        True,
        Flag(),
        "Whether the training says what its time goes to: phases of its steps, the machine's load, a trace of three "
        "steps, and rules on all of them.",
    )
    loader_threads: int = checked(
        0, WholeNumber(0, 64), "How many threads of the training decode photos; 0: one per core, 16 at most."
    )
    customer_key: bool = checked(
        False,
        Flag(),
        "Whether a KMS key of the stage encrypts bucket, volumes, outputs and notices, instead of keys that AWS owns.",
    )
    poll_seconds: int = checked(20, WholeNumber(1, 300), "How often the state machine asks what it waits for.")
    weights_prefix: str = checked(
        "weights",
        Text(r"[a-z0-9-]+(/[a-z0-9-]+)*", "a key prefix without slashes at its ends"),
        "Where in the bucket pretrained weights are looked for, as <backbone>.pth, before they are downloaded.",
    )
    source_buckets: tuple[str, ...] = checked(
        (), ListOf(_BUCKET), "Buckets other than the stage's own that an s3:// source may stand in."
    )
    removal: str = checked(
        "destroy",
        OneOf(("destroy", "retain")),
        "What happens to buckets, key, images and model registry when the stacks are deleted. Endpoints, their "
        "configurations and what serves them always go: endpoints cost money, and the registry can make them again.",
    )
    dataset: Dataset = section(_DATASET)
    jobs: Jobs = section(_JOBS)
    retry: Retry = section(_RETRY)
    tuning: Tuning = section(_TUNING)
    training: Training = section(_TRAINING)
    rules: Rules = section(_RULES)
    answers: Answers = section(_ANSWERS)
    gate: Gate = section(_GATE)
    defaults: Defaults = section(_DEFAULTS)
    endpoint: Endpoint = section(_ENDPOINT)
    api: Api = section(_API)
    network: Network = section(_NETWORK)
    tracking: Tracking = section(_TRACKING)
    reaper: Reaper = section(_REAPER)
    watch: Watch = section(_WATCH)

    def __post_init__(self) -> None:
        """Refuse values that cannot be deployed."""
        verify(self)
        if self.network.isolation and self.tracking.mlflow_uri is not None:
            raise SettingsError(
                "tracking.mlflow_uri", self.tracking.mlflow_uri, "null: with network.isolation no job can reach it"
            )

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

"""What is trained from what, and how good it must be."""

from dataclasses import dataclass
from typing import Final

from contract.inference import KNOWN_SHARE
from infra.checks import Above, Fraction, OneOf, Text, Unset, WholeNumber, checked, verify
from infra.settings.texts import PLAIN

BACKBONES: Final = ("auto", "resnet50", "efficientnet_lite0")
UDACITY_DOGS: Final = "https://s3-us-west-1.amazonaws.com/udacity-aind/dog-project/dogImages.zip"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """How the prepared photos are kept and read: for sets that are larger than a disk, or of very many photos."""

    shard_photos: int = checked(
        0,
        WholeNumber(0, 1_000_000),
        "How many training and validation photos are put into one tar file, as the library webdataset lays them out; "
        "0: every photo is a file. 1000 make shards of about 50 MB. The results are the same, bit for bit.",
    )
    input_mode: str = checked(
        "File",
        OneOf(("File", "FastFile")),
        "How extraction and training get the prepared photos. File: all are copied to the disk first. FastFile: each "
        "is read from S3 when it is looked at, so that no disk has to hold them; best with shards.",
    )

    def __post_init__(self) -> None:
        """Refuse values that the jobs or SageMaker would refuse."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a model must reach before it is deployed, in test accuracy."""

    minimum_accuracy: float = checked(0.6, Fraction(), "The floor.")
    maximum_drop: float = checked(
        0.02,
        Fraction(),
        "How far below the model in production, compared only when both were tested on the same data; on few test "
        "photos, where chance alone makes larger differences, more is allowed.",
    )

    def __post_init__(self) -> None:
        """Refuse what is no accuracy."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the model says beside its labels."""

    known_share: float | None = checked(
        KNOWN_SHARE,
        Unset(Above(0, 1)),
        'The share of the validation photos whose answers say "confident": true; below the probability that so many '
        "reach, a photo may be of nothing that the model knows, and the answer says false; null: it does not say.",
    )

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        verify(self)


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What an execution uses where its input says nothing."""

    source: str = checked(
        UDACITY_DOGS, Text(PLAIN, '"toy", https://...zip or s3://bucket/prefix'), "Where the photos come from."
    )
    backbone: str = checked(
        "auto", OneOf(BACKBONES), "auto: ResNet50, or EfficientNet-Lite0 where its weights cannot be had."
    )
    # 100: what one ListTrainingJobsForHyperParameterTuningJob call returns.
    trials: int = checked(10, WholeNumber(1, 100), "How many hyperparameter settings are tried.")
    parallel_trials: int = checked(2, WholeNumber(1, 100), "How many of them at a time.")
    epochs: int | None = checked(
        None,
        Unset(WholeNumber(0, 1000)),
        "Epochs of the fine-tuning; null: as many as the tuner found best for the head, 0: the backbone stays frozen.",
    )
    seed: int = checked(42, WholeNumber(0, 2**31 - 1), "Draws everything random.")

    def __post_init__(self) -> None:
        """Refuse values that the jobs would refuse."""
        verify(self)

"""The model in production: which it is, how good, whether it answers, and what its breeds look like.

What is read is kept for a while in the container: an API that is asked often must not exhaust the limits of SageMaker's
own one, which is shared by everything in the account.
"""

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from botocore.exceptions import ClientError

from contract.front_door import Breed, Health
from contract.inference import ErrorCode, InferenceError
from contract.metrics import FINAL_TEST_ACCURACY
from contract.names import ApiPath, Prefix, PreparedFile
from contract.s3_uri import S3Uri
from infra.front_door.clients import read_object, sagemaker
from infra.front_door.endpoint import unavailable

LOG: Final = logging.getLogger("pedigree.front_door")

ABSENT: Final = "Absent"
_KEPT_SECONDS: Final = 10.0
# In these the endpoint answers: while it changes, the old one does.
_SERVING: Final = ("InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed")
_RECORD: Final = f"{Prefix.PRODUCTION}/model.json"

T = TypeVar("T")


class Kept(Generic[T]):
    """A value that is read again once it is older than ``_KEPT_SECONDS``."""

    def __init__(self, read: Callable[[], T]) -> None:
        """Read nothing yet."""
        self._read = read
        self._value: T | None = None
        self._until = 0.0

    def get(self) -> T:
        """Return the value; what ``read`` raises is not kept."""
        now = time.monotonic()
        if self._value is None or now >= self._until:
            self._value, self._until = self._read(), now + _KEPT_SECONDS
        return self._value

    def forget(self) -> None:
        """Have it read anew."""
        self._value = None


@dataclass(frozen=True)
class Examples:
    """Where small photos of a model's breeds are, and the labels in their order."""

    prefix: str
    labels: tuple[str, ...]

    def path(self, number: int) -> str:
        """Return the key of one breed's photo."""
        return f"{self.prefix}/{number}.jpg"


def read_record() -> dict[str, Any]:
    """Return what an execution wrote down of the model that it put into service; nothing where none has yet."""
    found = read_object(_RECORD)
    record: dict[str, Any] = {} if found is None else json.loads(found)
    return record


def read_health() -> Health:
    """Return how the endpoint is, and what the registry knows of its model."""
    endpoint, instances = _endpoint(os.environ["ENDPOINT_NAME"])
    package = RECORD.get().get("model_package_arn", "")
    version = package.rpartition("/")[2]
    return Health(
        ready=endpoint in _SERVING and instances != 0,
        endpoint=endpoint,
        version=int(version) if version.isdecimal() else None,
        accuracy=_accuracy(package) if package else None,
    )


def read_examples() -> Examples:
    """Return the examples of the model in production.

    Raises:
        InferenceError: UNAVAILABLE, there is no model in service, or it was trained before there were any.
    """
    prepared = str(RECORD.get().get("prepared_uri", ""))
    prefix = (S3Uri.parse(prepared) / PreparedFile.EXAMPLES).key if prepared else ""
    classes = read_object(f"{prefix}/classes.json") if prepared else None
    if classes is None:
        raise unavailable("the labels are not known: no model is in service yet, or it was trained by an older version")
    return Examples(prefix, tuple(json.loads(classes)["labels"]))


RECORD: Final = Kept(read_record)
HEALTH: Final = Kept(read_health)
EXAMPLES: Final = Kept(read_examples)


def breeds() -> list[Breed]:
    """Return the labels of the model in production.

    Raises:
        InferenceError: of ``read_examples``.
    """
    example = ApiPath.EXAMPLE.lstrip("/")
    return [Breed(label, example.format(number=number)) for number, label in enumerate(EXAMPLES.get().labels)]


def example_photo(number: str) -> bytes:
    """Return the JPEG of one breed.

    Raises:
        InferenceError: NOT_FOUND, or of ``read_examples``.
    """
    examples = EXAMPLES.get()
    count = len(examples.labels)
    known = number.isascii() and number.isdecimal() and len(number) < 7 and int(number) < count
    photo = read_object(examples.path(int(number))) if known else None
    if photo is None:
        raise InferenceError(ErrorCode.NOT_FOUND, f"there is no such label: a number from 0 to {count - 1} expected")
    return photo


def _endpoint(name: str) -> tuple[str, int | None]:
    """Return the endpoint's state, and on how many instances it runs where it says."""
    try:
        found = sagemaker().describe_endpoint(EndpointName=name)
    except ClientError as error:
        if "could not find" in error.response["Error"].get("Message", "").lower():
            return ABSENT, None
        raise
    counts = [variant.get("CurrentInstanceCount") for variant in found.get("ProductionVariants", [])]
    known = [count for count in counts if count is not None]
    return str(found["EndpointStatus"]), sum(known) if known else None


def _accuracy(package: str) -> float | None:
    try:
        found = sagemaker().describe_model_package(ModelPackageName=package)
    except ClientError as error:
        # The version may have been deleted from the registry; health is asked for all the same.
        LOG.warning("the registry does not know %s: %s", package, error.response["Error"].get("Message", ""))
        return None
    value = found.get("CustomerMetadataProperties", {}).get(FINAL_TEST_ACCURACY.name)
    return None if value is None else float(value)

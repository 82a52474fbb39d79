"""What the service keeps, and what its List operations have in common."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from local_cloud.autoscaling.names import DIMENSION, NAMESPACE, variant_of
from local_cloud.sagemaker.errors import ServiceError, validation

_PAGE: Final = 50  # also the most that the API returns
_FILTERS: Final = ("ServiceNamespace", "ScalableDimension", "ResourceId")


class Kind(StrEnum):
    """What records are of; also their folder's name."""

    TARGET = "scalable-target"
    POLICY = "scaling-policy"
    ACTION = "scheduled-action"


@dataclass(frozen=True)
class Place:
    """Where the records are about: region and account of the ARNs."""

    region: str
    account: str


def check_scope(request: Mapping[str, Any]) -> tuple[str, str]:
    """Return the endpoint and the variant that a request is about.

    Raises:
        ServiceError: it is about something else, which only AWS scales.
    """
    if request["ServiceNamespace"] != NAMESPACE or request["ScalableDimension"] != DIMENSION:
        raise validation(f"Only {NAMESPACE} with {DIMENSION} is offered here.")
    variant = variant_of(request["ResourceId"])
    if variant is None:
        raise validation(
            f"Unsupported service namespace, resource type or scalable dimension: {request['ResourceId']} "
            "(endpoint/NAME/variant/NAME expected)"
        )
    return variant


def not_found(what: str, request: Mapping[str, Any], name: str = "") -> ServiceError:
    """Return the error for what is not there, as AWS words it."""
    return ServiceError(
        "ObjectNotFoundException",
        f"No {what} for service namespace: {request['ServiceNamespace']}, resource ID: {request['ResourceId']}, "
        f"scalable dimension: {request['ScalableDimension']}{f': {name}' if name else ''}",
    )


def key_of(request: Mapping[str, Any], *names: str) -> str:
    """Return the name of a record: the resource, and what tells several of it apart."""
    return "|".join([request["ResourceId"], *names])


def page(
    items: str, shown: Iterable[Mapping[str, Any]], request: Mapping[str, Any], wanted: Mapping[str, str]
) -> dict[str, Any]:
    """Return one page of what a request asks for; ``wanted``: a list of the request -> the member it is about."""
    kept = [
        entry
        for entry in shown
        if all(entry[member] == request[member] for member in _FILTERS if member in request)
        and all(entry[member] in request[given] for given, member in wanted.items() if request.get(given))
    ]
    start = _offset(request.get("NextToken"))
    end = start + max(1, min(request.get("MaxResults", _PAGE), _PAGE))
    more = {"NextToken": base64.urlsafe_b64encode(str(end).encode()).decode()} if end < len(kept) else {}
    return {items: kept[start:end], **more}


def _offset(token: str | None) -> int:
    try:
        return int(base64.urlsafe_b64decode(token)) if token else 0
    except (ValueError, binascii.Error) as error:
        raise ServiceError("InvalidNextTokenException", f"Invalid pagination token: {token}") from error

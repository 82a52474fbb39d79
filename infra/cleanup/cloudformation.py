"""What CloudFormation asks of a custom resource, and the answer that it waits for."""

import json
import logging
import os
import ssl
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final

import boto3

Event = Mapping[str, Any]

_ENDING: Final = ("DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")
# CloudFormation takes answers of 4096 bytes at most.
_MAX_REASON: Final = 2500
_ATTEMPTS: Final = 4
_TIMEOUT_SECONDS: Final = 20
_logger: Final = logging.getLogger("pedigree")


def answer(event: Event, name: str, work: Callable[[], None]) -> None:
    """Do ``work`` and tell CloudFormation how it went: without an answer a stack waits for an hour.

    ``name`` becomes the resource's physical id. It must never change: CloudFormation would take that for a replacement
    and ask for the former one to be deleted.
    """
    reason = ""
    try:
        work()
    except Exception as error:
        _logger.exception("%s of %s", event["RequestType"], name)
        reason = f"{type(error).__name__}: {error}"
    respond(event, name, reason=reason)


def respond(event: Event, name: str, *, reason: str = "", data: Mapping[str, str] | None = None) -> None:
    """Tell CloudFormation how it went: well, with the resource's attributes, or not, with the reason."""
    _put(event["ResponseURL"], _response(event, name, reason, data or {}))


def is_stack_ending(event: Event) -> bool:
    """Return whether the whole stack is being deleted, or was never finished.

    A custom resource is also deleted during an update, when it is renamed, moved or not wanted any more; the endpoint
    then has to stay.
    """
    stacks = boto3.client("cloudformation").describe_stacks(StackName=event["StackId"])["Stacks"]
    return stacks[0]["StackStatus"] in _ENDING


def _response(event: Event, name: str, reason: str, data: Mapping[str, str]) -> bytes:
    content: dict[str, Any] = {
        "Status": "FAILED" if reason else "SUCCESS",
        "PhysicalResourceId": event.get("PhysicalResourceId", name),
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": dict(data),
    }
    if reason:
        content["Reason"] = reason if len(reason) <= _MAX_REASON else f"{reason[:_MAX_REASON]} ..."
    return json.dumps(content).encode()


def _put(url: str, body: bytes) -> None:
    """Send the answer; the address is signed for a request without a content type.

    Raises:
        ValueError: the address is none of the web.
        OSError: it could not be reached, several times in a row.
    """
    if not url.startswith("https://"):
        raise ValueError(f"no answer is sent to {url}")
    tls = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    request = urllib.request.Request(url, data=body, headers={"Content-Type": ""}, method="PUT")  # noqa: S310 https
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS, context=tls):  # noqa: S310 https
                return
        except OSError as error:
            if attempt == _ATTEMPTS:
                raise
            _logger.warning("the answer did not arrive: %s", error)
            time.sleep(2**attempt)

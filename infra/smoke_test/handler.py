"""Sends one random test photo to the API, or to an endpoint, and says what was on it and what the model saw."""

import json
import os
import random
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from contract.classes import label_of
from contract.inference import CONTENT_TYPES, MAX_PHOTO_BYTES, RESPONSE_TYPE
from contract.s3_uri import S3Uri

_TEST_SPLIT: Final = "test"
_CONTENT_TYPE: Final = dict(zip((".jpg", ".png", ".webp"), CONTENT_TYPES, strict=True))
_TIMEOUT_SECONDS: Final = 30
_ATTEMPTS: Final = 4
_PAUSE_SECONDS: Final = 3.0
# Passing states: the endpoint is waking up, the usage plan is throttling other callers.
_PASSING: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class SmokeTestError(Exception):
    """There was no prediction for a test photo."""


class PassingError(SmokeTestError):
    """There was none now, but there may be one soon."""


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return {photo, true, predicted, probability} for a random photo below ``event["prepared_uri"]``.

    The photo goes the way of users' photos, through the API; where the event names an ``endpoint_name``, straight to
    that endpoint.

    Raises:
        SmokeTestError: there is no test photo, or the answer was an error; the message says which.
    """
    bucket, key = choose_photo(event["prepared_uri"])
    photo = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    if "endpoint_name" in event:
        best = ask_endpoint(event["endpoint_name"], photo, _content_type(key))
    else:
        best = post_photo(os.environ["API_URL"], api_key(os.environ["API_KEY_ID"]), photo, _content_type(key))
    return {
        "photo": f"s3://{bucket}/{key}",
        "true": label_of(key.split("/")[-2]),
        "predicted": best["label"],
        "probability": best["probability"],
    }


def choose_photo(prepared_uri: str) -> tuple[str, str]:
    """Return bucket and key of a random photo of the test split that the API would take."""
    below = S3Uri.parse(prepared_uri) / f"{_TEST_SPLIT}/"
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=below.bucket, Prefix=below.key)
    keys = [
        item["Key"]
        for page in pages
        for item in page.get("Contents", [])
        if 0 < item["Size"] <= MAX_PHOTO_BYTES and _content_type(item["Key"])
    ]
    if not keys:
        raise SmokeTestError(f"there is no photo of at most {MAX_PHOTO_BYTES} bytes below {below}")
    return below.bucket, random.choice(keys)


def api_key(key_id: str) -> str:
    """Return the value of an API key, which stands in no template and no log."""
    return str(boto3.client("apigateway").get_api_key(apiKey=key_id, includeValue=True)["value"])


def post_photo(url: str, key: str, photo: bytes, content_type: str) -> dict[str, Any]:
    """Return the most probable prediction, trying again while the service says that it will be back.

    Raises:
        SmokeTestError: the API answered with an error or with no prediction, or could not be reached.
    """
    headers = {"Content-Type": content_type, "x-api-key": key}

    def post() -> bytes:
        request = urllib.request.Request(url, data=photo, headers=headers, method="POST")  # noqa: S310 our own URL
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS, context=tls()) as response:  # noqa: S310
                body: bytes = response.read()
                return body
        except urllib.error.HTTPError as error:
            answer = error.read().decode(errors="replace")
            told = f"POST {url} answered {error.code}: {answer}"
            raise (PassingError if error.code in _PASSING else SmokeTestError)(told) from error
        except OSError as error:
            raise PassingError(f"POST {url} failed: {error}") from error

    return _best(f"POST {url}", _patiently(post))


def ask_endpoint(name: str, photo: bytes, content_type: str) -> dict[str, Any]:
    """Return the most probable prediction of an endpoint.

    Raises:
        SmokeTestError: the model answered with an error or with no prediction, or could not be reached.
    """
    # One attempt at a time: a model's error is told at once.
    config = Config(read_timeout=_TIMEOUT_SECONDS, retries={"total_max_attempts": 1})
    runtime = boto3.client("sagemaker-runtime", config=config)

    def invoke() -> bytes:
        try:
            answer = runtime.invoke_endpoint(
                EndpointName=name, Body=photo, ContentType=content_type, Accept=RESPONSE_TYPE
            )
            body: bytes = answer["Body"].read()
            return body
        except ClientError as error:
            response: Any = error.response
            status = response.get("OriginalStatusCode", response["ResponseMetadata"].get("HTTPStatusCode"))
            told = f"the endpoint {name} answered {status}: {response.get('OriginalMessage') or error}"
            raise (PassingError if status in _PASSING else SmokeTestError)(told) from error
        except BotoCoreError as error:
            raise PassingError(f"the endpoint {name} could not be asked: {error}") from error

    return _best(f"the endpoint {name}", _patiently(invoke))


def _patiently(ask: Callable[[], bytes]) -> bytes:
    """Return what ``ask`` returns, once it does not raise a passing error any more."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return ask()
        except PassingError:
            time.sleep(_PAUSE_SECONDS)
    return ask()


def tls() -> ssl.SSLContext:
    """Return a context that trusts what boto3 trusts: AWS_CA_BUNDLE names another root where there is one."""
    return ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)


def _best(who: str, body: bytes) -> dict[str, Any]:
    try:
        best: dict[str, Any] = json.loads(body)["predictions"][0]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise SmokeTestError(f"{who} answered no prediction: {body[:200]!r}") from error
    return best


def _content_type(key: str) -> str:
    suffix = os.path.splitext(key)[1].lower()  # noqa: PTH122 a key is no path
    return _CONTENT_TYPE.get(".jpg" if suffix == ".jpeg" else suffix, "")

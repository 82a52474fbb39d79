"""Posts one random test photo to the API with a real key, and says what was on it and what the model saw."""

import json
import os
import random
import ssl
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import boto3

from contract.classes import label_of
from contract.inference import CONTENT_TYPES, MAX_PHOTO_BYTES

_TEST_SPLIT: Final = "test"
_CONTENT_TYPE: Final = dict(zip((".jpg", ".png", ".webp"), CONTENT_TYPES, strict=True))
_TIMEOUT_SECONDS: Final = 30
_ATTEMPTS: Final = 4
_PAUSE_SECONDS: Final = 3.0
# Passing states: the endpoint is waking up, the usage plan is throttling other callers.
_PASSING: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class SmokeTestError(Exception):
    """The API did not give a prediction for a test photo."""


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return {photo, true, predicted, probability} for a random photo below ``event["prepared_uri"]``.

    Raises:
        SmokeTestError: there is no test photo, or the API answered with an error; the message says which.
    """
    bucket, key = choose_photo(event["prepared_uri"])
    photo = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    best = post_photo(os.environ["API_URL"], api_key(os.environ["API_KEY_ID"]), photo, _content_type(key))
    return {
        "photo": f"s3://{bucket}/{key}",
        "true": label_of(key.split("/")[-2]),
        "predicted": best["label"],
        "probability": best["probability"],
    }


def choose_photo(prepared_uri: str) -> tuple[str, str]:
    """Return bucket and key of a random photo of the test split that the API would take."""
    parts = urlsplit(prepared_uri)
    prefix = f"{parts.path.strip('/')}/{_TEST_SPLIT}/"
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=parts.netloc, Prefix=prefix)
    keys = [
        item["Key"]
        for page in pages
        for item in page.get("Contents", [])
        if 0 < item["Size"] <= MAX_PHOTO_BYTES and _content_type(item["Key"])
    ]
    if not keys:
        raise SmokeTestError(f"there is no photo of at most {MAX_PHOTO_BYTES} bytes below s3://{parts.netloc}/{prefix}")
    return parts.netloc, random.choice(keys)


def api_key(key_id: str) -> str:
    """Return the value of an API key, which stands in no template and no log."""
    return str(boto3.client("apigateway").get_api_key(apiKey=key_id, includeValue=True)["value"])


def post_photo(url: str, key: str, photo: bytes, content_type: str) -> dict[str, Any]:
    """Return the most probable prediction, trying again while the service says that it will be back.

    Raises:
        SmokeTestError: the API answered with an error or with no prediction, or could not be reached.
    """
    headers = {"Content-Type": content_type, "x-api-key": key}
    for attempt in range(1, _ATTEMPTS + 1):
        request = urllib.request.Request(url, data=photo, headers=headers, method="POST")  # noqa: S310 our own URL
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS, context=tls()) as response:  # noqa: S310
                return _best(url, response.read())
        except urllib.error.HTTPError as error:
            if error.code not in _PASSING or attempt == _ATTEMPTS:
                answer = error.read().decode(errors="replace")
                raise SmokeTestError(f"POST {url} answered {error.code}: {answer}") from error
        except OSError as error:
            if attempt == _ATTEMPTS:
                raise SmokeTestError(f"POST {url} failed: {error}") from error
        time.sleep(_PAUSE_SECONDS)
    raise AssertionError("the last attempt returns or raises")


def tls() -> ssl.SSLContext:
    """Return a context that trusts what boto3 trusts: AWS_CA_BUNDLE names another root where there is one."""
    return ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)


def _best(url: str, body: bytes) -> dict[str, Any]:
    try:
        best: dict[str, Any] = json.loads(body)["predictions"][0]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise SmokeTestError(f"POST {url} answered no prediction: {body[:200]!r}") from error
    return best


def _content_type(key: str) -> str:
    suffix = os.path.splitext(key)[1].lower()  # noqa: PTH122 a key is no path
    return _CONTENT_TYPE.get(".jpg" if suffix == ".jpeg" else suffix, "")

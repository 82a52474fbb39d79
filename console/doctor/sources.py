"""What the jobs fetch: the photos, and the backbone's pretrained weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
from botocore.exceptions import ClientError

from console import dataset
from console.doctor.result import Result, Subject, ok, problem, warning
from console.errors import ConsoleError
from console.stacks import describe_stacks
from contract.names import Output
from contract.s3_uri import S3Uri
from contract.weights import RESNET50_FILE, RESNET50_URL

_SECONDS: Final = 15.0
_MISSING: Final = ("404", "NoSuchKey", "NoSuchBucket", "NotFound")


def photos(subject: Subject) -> Iterator[Result]:
    """The data source answers."""
    name, text = "Photos", subject.source
    try:
        source = dataset.check(text)
    except ConsoleError as error:
        yield problem(name, error.message, error.hint)
        return
    if text == dataset.TOY:
        yield ok(name, "drawn by Pedigree itself")
    elif isinstance(source, Path):
        yield ok(name, f"{source}, uploaded to the bucket by each run")
    elif text.startswith("s3://"):
        yield from _listable(subject, name, text)
    else:
        yield from _reachable(name, text)
        if subject.settings["network"]["isolation"]:
            found = "network.isolation is on, so no job can fetch an https:// address"
            yield problem(
                name, found, f"Copy it to a bucket: aws s3 cp photos.zip s3://BUCKET/ ; then --data or {_SOURCE}"
            )


_SOURCE: Final = "defaults.source: s3://BUCKET/photos.zip in cdk.json"


def _reachable(name: str, url: str) -> Iterator[Result]:
    shown = url.split("?")[0]
    try:
        answer = httpx.head(url, follow_redirects=True, timeout=_SECONDS)
    except httpx.HTTPError as error:
        yield warning(name, f"{urlsplit(url).hostname} cannot be reached from here: {error}", f"curl -I {shown}")
        return
    if answer.status_code < 400:
        size = int(answer.headers.get("content-length", 0)) / 1e6
        yield ok(name, f"{shown}{f', {size:,.0f} MB' if size else ''}")
    elif answer.status_code in (403, 405):  # a signed URL is good for GET alone
        yield warning(name, f"{shown} answers HEAD with {answer.status_code}", f"curl -r 0-0 -o /dev/null {shown}")
    else:
        yield problem(name, f"{shown} answers {answer.status_code}", "Check the address, or give another with --data")


def _listable(subject: Subject, name: str, text: str) -> Iterator[Result]:
    try:
        place = S3Uri.parse(text)
    except ValueError as error:
        yield problem(name, str(error), f"Give another with --data, or {_SOURCE}")
        return
    bucket = place.bucket
    if subject.cloud.name != "aws":
        yield ok(name, f"{text}, in the local cloud's own S3")
        return
    try:
        answer = subject.cloud.client("s3").list_objects_v2(Bucket=bucket, Prefix=place.key, MaxKeys=1)
    except ClientError as error:
        yield problem(name, f"{text}: {error.response['Error']['Message']}", f"aws s3 ls {text}")
        return
    if not answer.get("KeyCount"):
        yield problem(name, f"{text} holds nothing", f"aws s3 ls s3://{bucket}/")
    elif bucket != _own_bucket(subject) and bucket not in subject.settings["source_buckets"]:
        found = f"the jobs may not read {bucket}: it is not the stage's own"
        yield problem(name, found, f'"source_buckets": ["{bucket}"] in cdk.json, then deploy')
    else:
        yield ok(name, text)


def weights(subject: Subject) -> Iterator[Result]:
    """ResNet50's weights can be had: from the bucket, or from their publisher."""
    name, backbone = "Weights", subject.settings["defaults"]["backbone"]
    if backbone == "efficientnet_lite0":
        yield ok(name, "EfficientNet-Lite0's come with its Python package")
        return
    key = f"{subject.settings['weights_prefix']}/{RESNET50_FILE}"
    bucket = _own_bucket(subject)
    if bucket and _exists(subject, bucket, key):
        yield ok(name, f"s3://{bucket}/{key}")
    elif subject.settings["network"]["isolation"]:
        found = "network.isolation is on, so they must stand in the bucket, and do not"
        if not bucket:
            found = "network.isolation is on, so they must stand in the bucket, which the first deployment makes"
        yield _fallback(backbone, found, *_upload(subject, bucket, key))
    else:
        yield from _published(backbone, _upload(subject, bucket, key))


def _published(backbone: str, todo: tuple[str, ...]) -> Iterator[Result]:
    try:
        reason = "" if (status := httpx.head(RESNET50_URL, timeout=_SECONDS).status_code) < 400 else f"answers {status}"
    except httpx.HTTPError as error:
        reason = f"cannot be reached from here: {error}"
    if reason:
        yield _fallback(backbone, f"{urlsplit(RESNET50_URL).hostname} {reason}", *todo)
    else:
        yield ok("Weights", f"{RESNET50_URL} answers")


def _fallback(backbone: str, found: str, *todo: str) -> Result:
    if backbone == "auto":
        return warning("Weights", f"{found}; EfficientNet-Lite0 stands in for ResNet50", *todo)
    return problem("Weights", found, *todo)


def _upload(subject: Subject, bucket: str, key: str) -> tuple[str, ...]:
    point = () if subject.cloud.name == "aws" else ('eval "$(pedigree env)"', "aws s3 ls")
    copy = f"aws s3 cp {RESNET50_URL.rsplit('/', 1)[1]} s3://{bucket or 'BUCKET'}/{key}"
    return f"curl -O {RESNET50_URL}", *point, copy


def _own_bucket(subject: Subject) -> str:
    """Return the stage's bucket, empty before it is deployed or where nothing can be asked."""
    if subject.cloud.name != "aws":
        return ""
    states = describe_stacks(subject.cloud).values()
    return next((state.outputs[Output.BUCKET] for state in states if state and Output.BUCKET in state.outputs), "")


def _exists(subject: Subject, bucket: str, key: str) -> bool:
    try:
        subject.cloud.client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            return False
        raise
    return True

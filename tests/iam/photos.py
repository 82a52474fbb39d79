"""A few drawn photos in a bucket, in each of the ways in which photos get there."""

import hashlib
import io
import zipfile
from collections.abc import Iterator

from contract.names import Prefix
from tests.iam.live import Subject
from training.toy import draw_photo, toy_photos

_PHOTOS = {"train": 6, "valid": 2, "test": 2}
_CLASSES = 2


def photos() -> Iterator[tuple[str, bytes]]:
    """Yield a few drawn photos, each with its place in the set."""
    wanted = {(breed, split): count for breed in range(_CLASSES) for split, count in _PHOTOS.items()}
    for photo in toy_photos(seed=0):
        if wanted.get((photo.breed, photo.split), 0):
            wanted[photo.breed, photo.split] -= 1
            yield photo.place, draw_photo(photo)


def upload_photos(subject: Subject, bucket: str) -> str:
    """Upload the photos and return where they are."""
    for place, content in photos():
        subject.stage.client("s3").put_object(Bucket=bucket, Key=f"datasets/proof/{place}", Body=content)
    return f"s3://{bucket}/datasets/proof/"


def upload_zip(subject: Subject, bucket: str) -> dict[str, str]:
    """Upload the photos as the console does, and return what it tells an execution of them."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for place, content in photos():
            packed.writestr(place, content)
    digest = hashlib.sha256(archive.getvalue()).hexdigest()
    key = f"{Prefix.DATASETS}/{digest}.zip"
    subject.stage.client("s3").put_object(Bucket=bucket, Key=key, Body=archive.getvalue())
    return {"source": f"s3://{bucket}/{key}", "source_fingerprint": digest}

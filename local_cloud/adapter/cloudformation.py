"""Stacks: a bucket that still holds something keeps its stack from being deleted, as on AWS."""

import re
from typing import Any, Final

_BUCKET: Final = "AWS::S3::Bucket"
_MESSAGE: Final = re.compile(rb"<Message>(.*?)</Message>")


class DeletionRefusedError(Exception):
    """A service would not delete a resource; CloudFormation then says so and keeps the stack."""


def install() -> None:
    """Have CloudFormation delete buckets through S3; MiniStack would drop them with all that is in them."""
    from ministack.services import s3
    from ministack.services.cloudformation import provisioners

    def delete_bucket(name: str, properties: dict[str, Any]) -> None:
        status, _, body = s3._delete_bucket(name)
        if status >= 400 and b"NoSuchBucket" not in body:
            said = _MESSAGE.search(body)
            raise DeletionRefusedError(f"{said[1].decode() if said else body.decode()} (Service: S3, {name})")

    provisioners._RESOURCE_HANDLERS[_BUCKET]["delete"] = delete_bucket

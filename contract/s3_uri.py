"""Addresses in S3, taken apart in one place: a key may hold what a URL's query and fragment begin with."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class S3Uri:
    """A bucket and a key or key prefix."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Read ``s3://bucket/key``.

        Raises:
            ValueError: it is no such URI; the message says so.
        """
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise ValueError(f"{uri!r} is no S3 URI (s3://bucket/key expected)")
        return cls(bucket, key)

    def __truediv__(self, name: str) -> Self:
        """Return the URI of ``name`` below this prefix."""
        return type(self)(self.bucket, f"{self.key.rstrip('/')}/{name}".lstrip("/"))

    def __str__(self) -> str:
        """Return ``s3://bucket/key``."""
        return f"s3://{self.bucket}/{self.key}"

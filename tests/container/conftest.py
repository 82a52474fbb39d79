"""Source bundles made in memory."""

import io
import tarfile
from collections.abc import Callable, Mapping

import pytest


@pytest.fixture
def make_tar_gz() -> Callable[[Mapping[str, str]], bytes]:
    def make(files: Mapping[str, str]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for name, text in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(text.encode())
                tar.addfile(member, io.BytesIO(text.encode()))
        return buffer.getvalue()

    return make

"""Fixtures: the service alone, over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local_cloud.sagemaker.stand_in import Cloud, MemoryS3, Server, new_cloud, write_image


@pytest.fixture
def s3() -> MemoryS3:
    return MemoryS3()


@pytest.fixture
def cloud(tmp_path: Path, s3: MemoryS3) -> Iterator[Cloud]:
    write_image(tmp_path / "bin")
    made = new_cloud(tmp_path, s3)
    with Server(made):
        yield made

"""What the tests of several packages use."""

from pathlib import Path

import pytest

from tests.real_photos import DOGS


@pytest.fixture
def dogs() -> Path:
    """Return the folder of real photos, as SPLIT/CLASS/*.jpg; without it the test is skipped."""
    if not DOGS.is_dir():
        pytest.skip("the photos of dogs are not on this machine")
    return DOGS

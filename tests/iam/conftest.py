"""A local cloud of its own for the tests of the proof's parts."""

from tests.local_cloud.conftest import cloud, fake_image

__all__ = ["cloud", "fake_image"]

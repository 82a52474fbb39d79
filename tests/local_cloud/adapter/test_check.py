import importlib.metadata

import pytest

from local_cloud.adapter import check
from local_cloud.settings import LocalCloudError


def test_this_ministack_is_the_expected_one() -> None:
    check.check_ministack()


def test_another_version_is_told_with_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "2.0.0")
    with pytest.raises(LocalCloudError, match=r"pip install ministack==1\.5\.33"):
        check.check_ministack()


def test_a_missing_private_name_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(check.PRIVATE_NAMES, "core.router", ("detect_service", "gone"))
    with pytest.raises(LocalCloudError, match=r"no gone in ministack\.core\.router"):
        check.check_ministack()

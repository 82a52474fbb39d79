import importlib

import pytest

from local_cloud.adapter.api_gateway import newest_stage


def test_of_two_apis_of_one_second_the_one_made_last_is_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = importlib.import_module("ministack.services.apigateway_v1")
    monkeypatch.setattr(gateway, "_rest_apis", {"old": {}, "zzz": {}, "aaa": {}})
    stages = {"old": {"v1": {"createdDate": 1}}, "zzz": {"v1": {"createdDate": 2}}, "aaa": {"v1": {"createdDate": 2}}}
    monkeypatch.setattr(gateway, "_stages_v1", stages)
    assert newest_stage() == ("aaa", "v1")

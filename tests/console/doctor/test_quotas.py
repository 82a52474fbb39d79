"""What a stage needs, and what the account may have."""

from typing import Any

from console.doctor.quotas import needs, quotas
from console.doctor.result import State, Subject
from tests.console.doctor.subjects import FakeAws

TRAINING, SPOT, SERVING = (
    "ml.m5.large for training job usage",
    "ml.g4dn.xlarge for spot training job usage",
    "ml.g4dn.xlarge for endpoint usage",
)


def test_what_a_stage_needs_follows_from_its_settings(settings: dict[str, Any]) -> None:
    settings["defaults"]["parallel_trials"] = 4
    settings["jobs"]["tune"]["keep_alive_seconds"] = 600
    settings["endpoint"]["instances"] = 2
    settings["endpoint"]["scaling"]["maximum_instances"] = 3
    settings["endpoint"]["rollout"]["rehearsal"] = True
    found = {name: (need.least, need.comfortable) for name, need in needs(settings).items()}
    assert found == {
        TRAINING: (4, 4),
        SPOT: (1, 1),
        "ml.m5.large for training warm pool usage": (4, 4),
        SERVING: (4, 7),
    }


def test_one_instance_needs_two_for_an_update_even_without_a_rehearsal(settings: dict[str, Any]) -> None:
    settings["endpoint"]["rollout"]["rehearsal"] = False
    assert needs(settings)[SERVING].least == 2


def quota(name: str, value: float, code: str = "L-0001") -> dict[str, Any]:
    return {"QuotaName": name, "QuotaCode": code, "Value": value, "Adjustable": True}


def test_a_quota_that_is_too_small_comes_with_the_request_to_raise_it(subject: Subject, cloud: FakeAws) -> None:
    applied = [quota(TRAINING, 15), quota(SERVING, 0, "L-9514"), quota("ml.p5.48xlarge for endpoint usage", 0)]
    cloud.stub("service-quotas").add_response("list_service_quotas", {"Quotas": applied})
    cloud.stub("service-quotas").add_response(
        "list_aws_default_service_quotas", {"Quotas": [quota(SPOT, 1), quota(SERVING, 9)]}
    )
    found = {result.name.removeprefix("Quota "): result for result in quotas(subject)}
    assert found[TRAINING].state is State.OK
    assert found[SPOT].state is State.OK, "AWS's default holds where the account has no value of its own"
    assert found[SERVING].state is State.PROBLEM, "the account's own value counts, not AWS's default"
    assert found[SERVING].found == "0, and 2 needed (old and new and the rehearsal)"
    assert found[SERVING].todo == (
        "aws service-quotas request-service-quota-increase --service-code sagemaker --quota-code L-9514 "
        "--desired-value 3 --region us-east-1",
    )
    assert found.keys() == {TRAINING, SPOT, SERVING}


def test_an_unknown_quota_is_told(subject: Subject, cloud: FakeAws, settings: dict[str, Any]) -> None:
    settings["endpoint"]["instance_type"] = "ml.g9.huge"
    known = [quota(TRAINING, 5), quota(SPOT, 5)]
    cloud.stub("service-quotas").add_response("list_service_quotas", {"Quotas": known})
    cloud.stub("service-quotas").add_response("list_aws_default_service_quotas", {"Quotas": []})
    unknown = next(result for result in quotas(subject) if "ml.g9.huge" in result.name)
    assert unknown.state is State.WARNING
    assert "knows no such quota" in unknown.found

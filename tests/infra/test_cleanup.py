"""Custom resources that clean up: they always answer, spare what is not theirs, and name what is left."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from infra.cleanup import clean_up, cloudformation
from infra.cleanup.kinds import belongs
from infra.cleanup.sweep import Clock, Kind, LeftBehindError, sweep
from infra.settings import Settings
from tests.infra.custom_resource import PREFIX, Context, event, stubbed

Templates = dict[str, Any]


@pytest.fixture
def cleaned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prefixes that were cleaned up after."""
    prefixes: list[str] = []
    monkeypatch.setattr(clean_up, "clean_up", lambda properties, clock: prefixes.append(properties["Prefix"]))
    return prefixes


@pytest.mark.parametrize("status", ["DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"])
def test_with_the_stack_goes_what_executions_made(
    status: str, answers: list[dict[str, Any]], stack_status: dict[str, str], cleaned: list[str]
) -> None:
    stack_status["value"] = status
    clean_up.handle(event("Delete", PauseSeconds="1"), Context())
    assert cleaned == [PREFIX]
    assert answers[0]["Status"] == "SUCCESS"


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"])
def test_an_update_that_moves_the_resource_leaves_the_endpoint_alone(
    status: str, answers: list[dict[str, Any]], stack_status: dict[str, str], cleaned: list[str]
) -> None:
    stack_status["value"] = status
    clean_up.handle(event("Delete", PauseSeconds="1"), Context())
    assert cleaned == []
    assert answers[0]["Status"] == "SUCCESS"


def test_the_resource_s_id_never_changes(answers: list[dict[str, Any]]) -> None:
    clean_up.handle(event("Create"), Context())
    clean_up.handle(event("Update", LogDays="90"), Context())
    assert {answer["PhysicalResourceId"] for answer in answers} == {"pedigree-dev-cleanup"}


def test_a_failure_is_answered_with_its_reason(
    answers: list[dict[str, Any]], stack_status: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LeftBehindError("endpoint pedigree-dev stays " + "x" * 5000)

    monkeypatch.setattr(clean_up, "clean_up", fail)
    clean_up.handle(event("Delete", PauseSeconds="1"), Context())
    assert answers[0]["Status"] == "FAILED"
    assert answers[0]["Reason"].startswith("LeftBehindError: endpoint pedigree-dev stays")
    assert len(json.dumps(answers[0])) < 4096


def test_no_answer_is_sent_anywhere_but_over_tls() -> None:
    with pytest.raises(ValueError, match="no answer"):
        cloudformation._put("http://example.com", b"")


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("pedigree-dev", True),
        ("pedigree-dev-abc-rehearsal", True),
        ("pedigree-dev2", False),
        ("pedigree-dev2-abc", False),
        ("my-pedigree-dev", False),
    ],
)
def test_only_the_stage_s_own_names_are_its(name: str, ours: bool) -> None:
    assert belongs(name, PREFIX) is ours


class Things:
    """Things of one kind, each busy for some looks."""

    def __init__(self, **busy: int) -> None:
        self.busy = busy
        self.asked: list[str] = []
        self.refuses: dict[str, ClientError] = {}

    def find(self) -> Mapping[str, str]:
        found = {name: "Updating" if looks > 0 else "" for name, looks in self.busy.items()}
        self.busy = {name: looks - 1 for name, looks in self.busy.items()}
        return found

    def delete(self, name: str) -> None:
        self.asked.append(name)
        if name in self.refuses:
            raise self.refuses[name]
        del self.busy[name]

    def kind(self, word: str = "endpoint") -> Kind:
        return Kind(word, self.find, self.delete)


def refusal(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DeleteEndpoint")


def test_what_is_busy_is_waited_for(clock: Clock) -> None:
    things = Things(a=0, b=9)
    sweep([things.kind()], clock)
    assert things.asked == ["a", "b"]
    assert not things.busy


def test_what_is_gone_already_is_no_failure(clock: Clock) -> None:
    things = Things()
    sweep([things.kind()], clock)
    assert things.asked == []


def test_what_is_changed_between_look_and_deletion_is_tried_again(clock: Clock) -> None:
    things = Things(a=0)
    things.refuses["a"] = refusal("ValidationException", "Cannot update in-progress endpoint")

    def find() -> Mapping[str, str]:
        if len(things.asked) == 3:
            things.refuses.clear()
        return things.find()

    sweep([Kind("endpoint", find, things.delete)], clock)
    assert len(things.asked) == 4


def test_when_the_time_is_over_all_that_is_left_is_named(clock: Clock) -> None:
    endpoints, configs = Things(a=100), Things(c1=0, c2=0)
    with pytest.raises(LeftBehindError, match=r"endpoint a was Updating.* Left behind: endpoint a; config c1, c2\."):
        sweep([endpoints.kind(), configs.kind("config")], clock)
    # A configuration that a changing endpoint uses must stay.
    assert configs.asked == []


def test_a_missing_permission_is_told_at_once(clock: Clock) -> None:
    things = Things(a=0)
    things.refuses["a"] = refusal("AccessDeniedException", "not authorized to perform: sagemaker:DeleteEndpoint")
    with pytest.raises(LeftBehindError, match="not authorized to perform: sagemaker:DeleteEndpoint"):
        sweep([things.kind()], clock)
    assert things.asked == ["a"]


def test_what_may_not_be_listed_is_named_as_unknown(clock: Clock) -> None:
    def find() -> Mapping[str, str]:
        raise refusal("AccessDeniedException", "not authorized to perform: sagemaker:ListEndpoints")

    with pytest.raises(LeftBehindError, match="Left behind: perhaps any endpoint"):
        sweep([Kind("endpoint", find, print)], clock)


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client, stub = stubbed("logs")
    monkeypatch.setattr(clean_up, "client", lambda service: client)
    with stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.mark.parametrize("groups", [[], [{"logGroupName": "/shared2", "retentionInDays": 1}]])
def test_a_shared_log_group_is_made_before_sagemaker_makes_it_without_a_limit(
    logs: Stubber, groups: list[dict[str, Any]]
) -> None:
    logs.add_response("describe_log_groups", {"logGroups": groups}, {"logGroupNamePrefix": "/shared"})
    logs.add_response("create_log_group", {}, {"logGroupName": "/shared"})
    logs.add_response("put_retention_policy", {}, {"logGroupName": "/shared", "retentionInDays": 30})
    clean_up.limit_log_group("/shared", 30)


def test_a_limit_that_somebody_chose_stays(logs: Stubber) -> None:
    group = {"logGroupName": "/shared", "retentionInDays": 365}
    logs.add_response("describe_log_groups", {"logGroups": [group]}, {"logGroupNamePrefix": "/shared"})
    clean_up.limit_log_group("/shared", 30)


def test_two_stages_may_make_the_shared_log_group_at_once(logs: Stubber) -> None:
    logs.add_response("describe_log_groups", {"logGroups": []}, {"logGroupNamePrefix": "/shared"})
    logs.add_client_error("create_log_group", "ResourceAlreadyExistsException")
    logs.add_response("put_retention_policy", {}, {"logGroupName": "/shared", "retentionInDays": 30})
    clean_up.limit_log_group("/shared", 30)


def of_type(template: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the resources of a type, by logical id."""
    return {name: each for name, each in template["Resources"].items() if each["Type"] == kind}


def test_cleaning_up_comes_before_what_executions_stand_on_is_deleted(templates: Templates) -> None:
    pipeline = templates["Pipeline"]
    ((_, resource),) = of_type(pipeline, "Custom::PedigreeCleanup").items()
    first = set(resource["DependsOn"])
    assert of_type(pipeline, "AWS::StepFunctions::StateMachine").keys() <= first
    sagemaker_roles = {
        name
        for name, role in of_type(pipeline, "AWS::IAM::Role").items()
        if any(
            statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
            for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        )
    }
    assert len(sagemaker_roles) == 2
    assert sagemaker_roles <= first


def test_buckets_are_emptied_only_where_they_are_deleted(templates: Templates, settings: Settings) -> None:
    found = of_type(templates["Data"], "Custom::PedigreeEmptyBuckets").values()
    assert len(found) == (settings.removal == "destroy")
    for resource in found:
        # Before the policies go, too: one is changed so that nothing new is written.
        assert of_type(templates["Data"], "AWS::S3::Bucket").keys() <= set(resource["DependsOn"])
        assert of_type(templates["Data"], "AWS::S3::BucketPolicy").keys() <= set(resource["DependsOn"])
        assert len(resource["Properties"]["Buckets"]) == 2


def test_the_registry_is_kept_with_the_models(templates: Templates, settings: Settings) -> None:
    ((_, resource),) = of_type(templates["Pipeline"], "Custom::PedigreeCleanup").items()
    keeps = settings.removal == "retain"
    assert resource["Properties"]["Registry"] == ("keep" if keeps else "delete")
    actions = json.dumps(of_type(templates["Pipeline"], "AWS::IAM::Role"))
    assert ("sagemaker:DeleteModelPackage" in actions) is not keeps


def test_only_idle_hours_bring_a_reaper(templates: Templates, settings: Settings) -> None:
    rules = of_type(templates["Pipeline"], "AWS::Events::Rule").values()
    schedules = [rule for rule in rules if "ScheduleExpression" in rule["Properties"]]
    assert len(schedules) == (settings.reaper.idle_hours is not None)

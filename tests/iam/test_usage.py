from typing import Any

from local_cloud.trail import Evaluation
from tests.iam.roles import Role, Statement
from tests.iam.usage import grants, unused

_ARN = "arn:aws:iam::000000000000:role/a"


def _statement(actions: tuple[str, ...], resources: tuple[str, ...] = ("*",), sid: str = "Sid") -> Statement:
    return Statement(sid, "policy", 0, actions, resources, {})


def _role(*statements: Statement) -> Role:
    return Role("stack", "A", "title", ("lambda.amazonaws.com",), (), ("policy",), statements, "a", _ARN)


def _asked(action: str, resource: str = "*", **more: Any) -> Evaluation:
    return Evaluation(more.get("role", _ARN), "session", action, resource, more.get("allowed", True))


def _parts(statement: Statement, *trail: Evaluation, **unproven: str) -> list[str]:
    return [each.part for each in unused([_role(statement)], trail, unproven)]


def test_an_action_that_nobody_asked_for_is_superfluous() -> None:
    statement = _statement(("s3:GetObject", "s3:PutObject"))
    assert _parts(statement, _asked("s3:GetObject", "arn:aws:s3:::b/k")) == ["s3:PutObject"]


def test_a_resource_that_nobody_asked_for_is_superfluous() -> None:
    statement = _statement(("s3:GetObject",), ("arn:aws:s3:::b/used/*", "arn:aws:s3:::b/unused/*"))
    assert _parts(statement, _asked("s3:GetObject", "arn:aws:s3:::b/used/k")) == ["arn:aws:s3:::b/unused/*"]


def test_what_another_role_asked_for_does_not_count() -> None:
    asked = _asked("s3:GetObject", role="arn:aws:iam::000000000000:role/other")
    assert _parts(_statement(("s3:GetObject",)), asked) == ["s3:GetObject", "*"]


def test_a_refusal_counts_as_asked_for() -> None:
    assert _parts(_statement(("s3:GetObject",)), _asked("s3:GetObject", allowed=False)) == []


def test_what_cannot_be_asked_for_here_is_explained_and_left_out() -> None:
    assert _parts(_statement(("xray:PutTraceSegments",), sid="Tracing"), Tracing="no X-Ray here") == []


def test_an_action_that_cannot_be_asked_for_here_may_need_the_other_resource() -> None:
    statement = _statement(("s3:GetObject", "s3:Never"), ("arn:aws:s3:::b/*", "arn:aws:s3:::c/*"))
    asked = _asked("s3:GetObject", "arn:aws:s3:::b/k")
    assert _parts(statement, asked) == ["s3:Never", "arn:aws:s3:::c/*"]
    assert unused([_role(statement)], [asked], {"s3:Never": "not here"}) == []


def test_the_same_action_on_another_resource_does_not_count() -> None:
    statement = _statement(("s3:GetObject",), ("arn:aws:s3:::b/*",))
    assert not grants(statement, _asked("s3:GetObject", "arn:aws:s3:::other/k"))


def test_wildcards_are_those_of_iam() -> None:
    assert grants(_statement(("S3:Get*",), ("arn:aws:s3:::b/?/*",)), _asked("s3:GetObject", "arn:aws:s3:::b/x/y/z"))
    assert not grants(_statement(("s3:GetObject",), ("arn:aws:s3:::b/?",)), _asked("s3:GetObject", "arn:aws:s3:::b/xy"))

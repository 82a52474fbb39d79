"""What the API says of the model in production."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from infra.front_door import handler, production
from tests.infra.front_door.aws import Aws
from tests.infra.front_door.events import event

EXAMPLES = "prepared/job-1/output/model/examples"
CLASSES: dict[str, Any] = {"folders": ["001.Boxer", "002.Great_Dane"], "labels": ["Boxer", "Great Dane"]}


def get(resource: str, **more: Any) -> dict[str, Any]:
    response = handler.handle(event(resource, method="GET", content_type=None, **more), None)
    return (
        response | {"body": json.loads(response["body"])} if "json" in response["headers"]["Content-Type"] else response
    )


def test_health_tells_state_version_and_accuracy(aws: Aws) -> None:
    aws.endpoint("InService", 1)
    aws.in_production()
    aws.registry("0.975")
    assert get("/health")["body"] == {
        "ready": True,
        "endpoint": "InService",
        "model": {"version": 3, "accuracy": 0.975},
    }


@pytest.mark.parametrize(
    ("status", "instances", "ready"),
    [("Updating", 1, True), ("RollingBack", None, True), ("Creating", None, False), ("Failed", 0, False),
     ("InService", 0, False)],
)  # fmt: skip
def test_an_endpoint_is_ready_while_it_serves_from_at_least_one_instance(
    aws: Aws, status: str, instances: int | None, ready: bool
) -> None:
    aws.endpoint(status, instances)
    aws.in_production()
    aws.registry(None)
    body = get("/health")["body"]
    assert (body["ready"], body["endpoint"]) == (ready, status)
    assert body["model"] == {"version": 3, "accuracy": None}


def test_before_the_first_execution_there_is_no_model_and_no_endpoint(aws: Aws) -> None:
    aws.no_endpoint()
    aws.lacks("production/model.json")
    assert get("/health")["body"] == {"ready": False, "endpoint": "Absent", "model": None}


def test_a_version_that_was_deleted_from_the_registry_is_still_named(aws: Aws) -> None:
    aws.endpoint("InService", 1)
    aws.in_production()
    aws.not_registered()
    assert get("/health")["body"]["model"] == {"version": 3, "accuracy": None}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands until a test moves it; for this module alone, since other threads live by the true one."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(production, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.mark.usefixtures("clock")
def test_who_asks_again_soon_is_told_the_same_without_asking_sagemaker(aws: Aws) -> None:
    aws.endpoint("InService", 1)
    aws.in_production()
    aws.registry("0.9")
    assert get("/health") == get("/health")  # a second question to a stub without an answer would be a 500


def test_breeds_are_listed_in_the_order_of_the_model_with_where_their_examples_are(aws: Aws) -> None:
    aws.in_production()
    aws.holds(f"{EXAMPLES}/classes.json", CLASSES)
    assert get("/breeds")["body"] == {
        "breeds": [
            {"label": "Boxer", "example": "breeds/0/photo"},
            {"label": "Great Dane", "example": "breeds/1/photo"},
        ]
    }


def test_an_example_is_a_jpeg_that_browsers_keep_to_themselves(aws: Aws) -> None:
    aws.in_production()
    aws.holds(f"{EXAMPLES}/classes.json", CLASSES)
    aws.holds(f"{EXAMPLES}/1.jpg", b"\xff\xd8\xff")
    response = get("/breeds/{number}/photo", path_values={"number": "1"})
    assert (response["statusCode"], response["body"], response["isBase64Encoded"]) == (200, "/9j/", True)
    assert response["headers"]["Content-Type"] == "image/jpeg"
    assert response["headers"]["Cache-Control"].startswith("private")


@pytest.mark.parametrize("number", ["2", "-1", "x", "", "1.5", "../0", "\uff19", "9" * 50])
def test_a_breed_that_there_is_not_is_a_404(aws: Aws, number: str) -> None:
    aws.in_production()
    aws.holds(f"{EXAMPLES}/classes.json", CLASSES)
    response = get("/breeds/{number}/photo", path_values={"number": number})
    assert response["statusCode"] == 404
    assert "from 0 to 1" in response["body"]["error"]["message"]


def test_without_a_model_in_service_breeds_are_a_503_with_a_time(aws: Aws) -> None:
    aws.lacks("production/model.json")
    response = get("/breeds")
    assert (response["statusCode"], response["headers"]["Retry-After"]) == (503, "10")


def test_a_model_of_before_there_were_examples_is_a_503_that_says_so(aws: Aws) -> None:
    aws.in_production(prepared_uri=None)
    response = get("/breeds")
    assert response["statusCode"] == 503
    assert "older version" in response["body"]["error"]["message"]


def test_what_is_kept_is_read_again_after_a_while(clock: SimpleNamespace) -> None:
    values = iter([1, 2])
    kept = production.Kept(lambda: next(values))
    assert [kept.get(), kept.get()] == [1, 1]
    clock.now = 11.0
    assert kept.get() == 2

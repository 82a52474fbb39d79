from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from local_cloud.sdk_calls import AWS_SDK, OPTIMIZED, CallError, Dialect, RoleCalls, error_prefix


def _answer(monkeypatch: pytest.MonkeyPatch, answer: Mapping[str, Any] | Exception) -> dict[str, Any]:
    """Have every client answer so, and return what it was asked for last."""
    asked: dict[str, Any] = {}

    def call(_client: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        asked.update(operation=operation, arguments=arguments)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return asked


def _call(service: str, operation: str, arguments: Any, dialect: Dialect = AWS_SDK) -> Any:
    keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), "x")
    calls = RoleCalls(lambda _role: keys, "https://localhost:1", Path("ca.pem"))
    return calls.call("arn:aws:iam::000000000000:role/r", service, operation, arguments, dialect)


def _refusal(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "1"}},  # type: ignore[typeddict-item]
        "Operation",
    )


def test_jsonatas_numbers_become_whole_where_the_api_wants_whole_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _answer(monkeypatch, {})
    _call(
        "sagemaker", "updateTrainingJob", {"TrainingJobName": "a", "ResourceConfig": {"KeepAlivePeriodInSeconds": 5.0}}
    )
    assert repr(asked["arguments"]["ResourceConfig"]["KeepAlivePeriodInSeconds"]) == "5"


@pytest.mark.parametrize(("body", "stored"), [("text", b"text"), ({"a": [1]}, b'{"a": [1]}')])
def test_a_body_is_text_or_json(monkeypatch: pytest.MonkeyPatch, body: Any, stored: bytes) -> None:
    asked = _answer(monkeypatch, {})
    _call("s3", "putObject", {"Bucket": "b", "Key": "k", "Body": body})
    assert asked["arguments"]["Body"] == stored


def test_times_are_worded_as_the_kind_of_integration_words_them(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    _answer(monkeypatch, {"CreationTime": moment, "ResponseMetadata": {}})
    arguments = {"TrainingJobName": "a"}
    assert _call("sagemaker", "describeTrainingJob", arguments) == {"CreationTime": "2026-01-02T03:04:05.678Z"}
    assert _call("sagemaker", "describeTrainingJob", arguments, OPTIMIZED) == {"CreationTime": 1767323045678}


def test_a_stream_is_read_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, {"Body": BytesIO("größer".encode())})
    assert _call("s3", "getObject", {"Bucket": "b", "Key": "k"}) == {"Body": "größer"}


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code", "dialect", "error"),
    [
        ("s3", "getObject", {"Bucket": "b", "Key": "k"}, "NoSuchKey", AWS_SDK, "S3.NoSuchKeyException"),
        ("s3", "headObject", {"Bucket": "b", "Key": "k"}, "404", AWS_SDK, "S3.NoSuchKeyException"),
        ("s3", "getObject", {"Bucket": "b", "Key": "k"}, "AccessDenied", AWS_SDK, "S3.S3Exception"),
        (
            "sagemaker",
            "describeEndpoint",
            {"EndpointName": "e"},
            "ValidationException",
            AWS_SDK,
            "SageMaker.SageMakerException",
        ),
        (
            "sagemaker",
            "createEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "c"},
            "ResourceLimitExceeded",
            OPTIMIZED,
            "SageMaker.ResourceLimitExceededException",
        ),
        (
            "sagemaker",
            "createEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "c"},
            "ValidationException",
            OPTIMIZED,
            "SageMaker.AmazonSageMakerException",
        ),
    ],
)
def test_errors_are_named_as_step_functions_names_them(
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    operation: str,
    arguments: dict[str, str],
    code: str,
    dialect: Dialect,
    error: str,
) -> None:
    _answer(monkeypatch, _refusal(code))
    with pytest.raises(CallError) as caught:
        _call(service, operation, arguments, dialect)
    assert caught.value.error == error
    assert code in caught.value.cause or operation == "headObject"


@pytest.mark.parametrize(
    ("service_id", "prefix"),
    [
        ("S3", "S3"),
        ("SageMaker", "SageMaker"),
        ("SFN", "Sfn"),
        ("DynamoDB", "DynamoDb"),
        ("CloudWatch Logs", "CloudWatchLogs"),
    ],
)
def test_services_are_named_as_the_java_sdk_names_them(service_id: str, prefix: str) -> None:
    assert error_prefix(service_id) == prefix


def test_arguments_that_the_api_does_not_know_are_told() -> None:
    with pytest.raises(CallError, match="Bukket"):
        _call("s3", "getObject", {"Bukket": "b", "Key": "k"})


def test_members_begin_with_a_capital_as_step_functions_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _answer(monkeypatch, {"status": "RUNNING", "executionArn": "arn"})
    arn = "arn:aws:states:us-east-1:000000000000:execution:machine:run"
    answer = _call("sfn", "describeExecution", {"ExecutionArn": arn})
    assert asked["arguments"] == {"executionArn": arn}
    assert answer == {"Status": "RUNNING", "ExecutionArn": "arn"}

"""What the server takes from its environment, and what it refuses to start with."""

import pytest

from contract.inference import MAX_BODY_BYTES
from contract.serving import DEFAULT_SERVING, Variable
from serving.limits import LimitError, Limits


def test_an_empty_environment_is_sagemakers_hosting_with_our_defaults() -> None:
    limits = Limits.read({})
    assert (limits.host, limits.port) == ("0.0.0.0", 8080)
    assert limits.serving == DEFAULT_SERVING
    assert limits.body_bytes == MAX_BODY_BYTES
    assert not limits.batch_transform


def test_an_empty_value_is_as_good_as_none() -> None:
    assert Limits.read({Variable.ENGINE: "", "SAGEMAKER_BIND_TO_PORT": " "}) == Limits.read({})


def test_a_given_port_is_listened_to_on_this_machine_alone() -> None:
    limits = Limits.read({"SAGEMAKER_BIND_TO_PORT": "9000", "SAGEMAKER_SAFE_PORT_RANGE": "9001-9099"})
    assert (limits.host, limits.port, limits.safe_ports) == ("127.0.0.1", 9000, (9001, 9099))


def test_the_stacks_variables_say_how_photos_are_served() -> None:
    serving = Limits.read(
        {
            Variable.ENGINE: "openvino",
            Variable.BATCH_PHOTOS: "8",
            Variable.BATCH_WAIT_MS: "0",
            Variable.QUEUE_PHOTOS: "16",
            Variable.TIMEOUT_SECONDS: "7",
            "SAGEMAKER_MODEL_SERVER_TIMEOUT": "50",
        }
    ).serving
    assert (serving.engine, serving.batch_photos, serving.batch_wait_ms) == ("openvino", 8, 0)
    assert (serving.queue_photos, serving.timeout_seconds) == (16, 7)


def test_sagemakers_timeout_counts_where_ours_is_not_given() -> None:
    assert Limits.read({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "50"}).serving.timeout_seconds == 50


def test_a_transform_job_gets_a_place_for_every_request_that_it_may_send_at_once() -> None:
    environment = {Variable.QUEUE_PHOTOS: "4", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "64"}
    assert Limits.read(environment).serving.queue_photos == 4
    batch = Limits.read(environment | {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"})
    assert batch.batch_transform
    assert batch.serving.queue_photos == 64
    assert batch.body_bytes == 6 * 1024 * 1024


def test_an_unlimited_payload_keeps_our_limit() -> None:
    assert Limits.read({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}).body_bytes == MAX_BODY_BYTES


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "70000", "a whole number from 1 to 65535"),
        ("SAGEMAKER_BIND_TO_PORT", "http", "a whole number"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "9099-9001", "as in 9000-9099"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "9000", "as in 9000-9099"),
        ("SAGEMAKER_BATCH", "yes", "true or false"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "101", "from 0 to 100"),
        ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "-1", "a whole number"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "0", "from 1 to 3600"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0", "from 1 to"),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "loud", "a whole number from 10 to 50"),
        (Variable.ENGINE, "fastest", "one of auto, eager"),
        (Variable.QUEUE_PHOTOS, "0", "from 1 to"),
        (Variable.BATCH_PHOTOS, "1e3", "a whole number"),
        (Variable.BATCH_WAIT_MS, "٣", "a whole number"),
        (Variable.TIMEOUT_SECONDS, "3.5", "a whole number"),
        (Variable.MODEL_PACKAGE, "arn:x\r\nSet-Cookie: a", "visible ASCII"),
    ],
)
def test_a_value_that_cannot_be_followed_is_refused_by_name(name: str, value: str, expected: str) -> None:
    with pytest.raises(LimitError) as refused:
        Limits.read({name: value})
    assert str(refused.value).startswith(f"{name}={value!r}: ")
    assert expected in str(refused.value)

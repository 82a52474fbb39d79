"""The running API against its OpenAPI document: whatever is sent, it answers, and only what the document says."""

import base64
import io
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from contract.front_door import API_KEY_HEADER, MULTIPART_TYPE
from contract.inference import CONTENT_TYPES, JSON_TYPE
from contract.names import ApiPath
from infra.front_door.document import api_document
from tests.end_to_end.checkout import TEST_SECONDS, Up
from tests.end_to_end.local_stage import LocalStage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(TEST_SECONDS),
    pytest.mark.laptop_only("it asks hundreds of times, with a key whose limits do not hold it up"),
]

SCHEMA = schemathesis.openapi.from_dict(api_document())
OPERATIONS = [(path, method.upper()) for path, item in api_document()["paths"].items() for method in item]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# Of each operation and mode; the same ones in every run, so that what one run finds the next one finds, too.
EXAMPLES = 40
SECONDS = 60


class Client:
    """Sends what was made up for the document, and compares the answers with it."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = {API_KEY_HEADER: key}

    def check(self, case: schemathesis.Case[Any]) -> schemathesis.Response:
        """Return the answer to a request, once it is found to be one that the document lists."""
        response = case.call(base_url=self._url, headers=self._key, timeout=SECONDS)
        case.validate_response(response, checks=CHECKS, headers=self._key)
        return response

    def answer(self, path: str, method: str, **given: Any) -> schemathesis.Response:
        """Return the answer to a good request; ``given`` are its body, query and so on."""
        response = self.check(SCHEMA[path][method].Case(**given))
        assert response.status_code == 200, response.text
        return response


@pytest.fixture(scope="module")
def client(up: Up) -> Iterator[Client]:
    """Ask with a key of its own, which no limit holds up."""
    gateway = LocalStage(up.checkout, "laptop", up.variables).client("apigateway")
    (plan,) = gateway.get_usage_plans()["items"]
    limits = {"rateLimit": 10_000, "burstLimit": 5_000}
    free = gateway.create_usage_plan(name="tests", apiStages=plan["apiStages"], throttle=limits)
    key = gateway.create_api_key(name="tests", enabled=True)
    gateway.create_usage_plan_key(usagePlanId=free["id"], keyId=key["id"], keyType="API_KEY")
    yield Client(up.variables["PEDIGREE_API_URL"], key["value"])
    gateway.delete_usage_plan_key(usagePlanId=free["id"], keyId=key["id"])
    gateway.delete_api_key(apiKey=key["id"])
    gateway.delete_usage_plan(usagePlanId=free["id"])


@pytest.fixture(scope="module")
def photo(photos: Path) -> bytes:
    return sorted((photos / "test").rglob("*.jpg"))[0].read_bytes()


def encoded(photo: bytes, kind: str) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(photo)) as image:
        image.save(buffer, kind.rpartition("/")[2])
    return buffer.getvalue()


def test_the_document_that_is_served_is_the_one_that_is_compared_with(client: Client) -> None:
    assert client.answer(ApiPath.DOCUMENT, "GET").json() == api_document()


@pytest.mark.parametrize("kind", CONTENT_TYPES)
def test_a_photo_as_it_is_gets_a_documented_answer(client: Client, photo: bytes, kind: str) -> None:
    given = {"body": encoded(photo, kind), "media_type": kind, "query": {"top": 2, "explain": "true"}}
    answer = client.answer(ApiPath.PREDICT, "POST", **given).json()
    assert len(answer["predictions"]) == 2
    assert answer["explanation"]["data"]


def test_a_form_gets_a_documented_answer(client: Client, photo: bytes) -> None:
    body = {"photo": photo, "top": "1"}
    answer = client.answer(ApiPath.PREDICT, "POST", body=body, media_type=MULTIPART_TYPE).json()
    assert len(answer["predictions"]) == 1


def test_one_and_several_photos_in_json_get_documented_answers(client: Client, photo: bytes) -> None:
    coded = base64.b64encode(photo).decode()
    one = client.answer(ApiPath.PREDICT, "POST", body={"photo": coded}, media_type=JSON_TYPE).json()
    several = {"photos": [coded, "AAAA"], "top": 1, "explain": True}
    both = client.answer(ApiPath.PREDICT, "POST", body=several, media_type=JSON_TYPE).json()
    assert one["predictions"][0] == both["answers"][0]["predictions"][0]
    assert both["answers"][1]["error"]["code"] == "BadImage"


def test_an_uploaded_photo_gets_a_documented_answer(up: Up, client: Client, photo: bytes) -> None:
    announced = {"bytes": len(photo), "content_type": "image/jpeg"}
    place = client.answer(ApiPath.UPLOADS, "POST", body=announced, media_type=JSON_TYPE).json()
    trust = ssl.create_default_context(cafile=up.variables["AWS_CA_BUNDLE"])
    sent = httpx.request(place["method"], place["url"], content=photo, headers=place["headers"], verify=trust)
    assert sent.status_code == 200
    client.answer(ApiPath.PREDICT, "POST", body={"upload": place["upload"]}, media_type=JSON_TYPE)


def test_every_breed_s_example_is_documented(client: Client) -> None:
    breeds = client.answer(ApiPath.BREEDS, "GET").json()["breeds"]
    assert len(breeds) == 3
    for number in range(len(breeds)):
        client.answer(ApiPath.EXAMPLE, "GET", path_parameters={"number": number})


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_no_request_breaks_the_api_or_its_document(
    client: Client, path: str, method: str, mode: GenerationMode
) -> None:
    operation = SCHEMA[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.path_parameters):
        pytest.skip("nothing in it can be wrong")

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],  # a failure names its request; making it smaller costs minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        client.check(case)

    ask()

"""The document says what the handler does, and nothing else."""

import json

from contract.inference import STATUS, ErrorCode
from contract.names import ApiPath
from infra.front_door.docs import docs_page
from infra.front_door.document import api_document
from infra.front_door.handler import ROUTES, handle
from tests.infra.front_door.events import event


def test_it_lists_exactly_what_is_answered() -> None:
    listed = {path: {method.upper() for method in item} for path, item in api_document()["paths"].items()}
    assert listed == {path: set(methods) for path, methods in ROUTES.items()}
    assert set(listed) == set(ApiPath)


def test_every_error_of_the_contract_is_known_to_it() -> None:
    documented = {
        int(status)
        for item in api_document()["paths"].values()
        for operation in item.values()
        for status in operation["responses"]
    }
    # 405 answers methods that stand in no document, 408 a body that stops on its way to the endpoint.
    assert documented == {200, *STATUS.values()} - {405, 408}


def test_only_the_pages_and_the_document_are_open_to_everybody() -> None:
    is_open = {
        path for path, item in api_document()["paths"].items() for operation in item.values() if "security" in operation
    }
    assert is_open == {ApiPath.PAGE, ApiPath.DOCS, ApiPath.DOCUMENT}


def test_it_is_served_as_it_is() -> None:
    response = handle(event("/openapi.json", method="GET", content_type=None), None)
    assert json.loads(response["body"]) == api_document()


def test_every_reference_in_it_leads_somewhere() -> None:
    text = json.dumps(api_document())
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(api_document()["components"]["schemas"])


def test_the_page_for_people_names_every_operation_and_every_error_code() -> None:
    html = docs_page().html.decode()
    for path in ROUTES:
        assert f"<code>{path}</code>" in html
    for code in ErrorCode:
        assert f"<code>{code}</code>" in html
    assert "<script" not in html

"""The front door's Lambda function: every request to its answer, and every failure to one shape."""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from contract.inference import ErrorCode, InferenceError
from contract.names import ApiPath
from infra.front_door import docs, production, uploads
from infra.front_door.document import api_document
from infra.front_door.endpoint import ask, internal
from infra.front_door.page import load_page
from infra.front_door.question import question_of
from infra.front_door.request import Request
from infra.front_door.response import Response

LOG: Final = logging.getLogger("pedigree.front_door")
LOG.setLevel(logging.INFO)

# An example of a breed stays what it is as long as its model is in production, and a day is short for that.
_EXAMPLE_CACHE: Final = {"Cache-Control": "private, max-age=86400"}
_FRESH: Final = {"Cache-Control": "no-store"}


def _predict(request: Request) -> Response:
    question = question_of(request, uploads.uploaded)
    return Response(ask(os.environ["ENDPOINT_NAME"], question), headers=_FRESH)


def _breeds(_request: Request) -> Response:
    return Response.json({"breeds": [breed.body() for breed in production.breeds()]})


def _example(request: Request) -> Response:
    photo = production.example_photo(request.path_values.get("number", ""))
    return Response(photo, "image/jpeg", headers=_EXAMPLE_CACHE)


def _health(_request: Request) -> Response:
    return Response(json.dumps(production.HEALTH.get().body()), headers=_FRESH)


def _new_upload(request: Request) -> Response:
    announced = request.body('what the photo has, as {"bytes": 5000000, "content_type": "image/jpeg"}')
    return Response(json.dumps(uploads.new_upload(announced).body()), headers=_FRESH)


def _page(_request: Request) -> Response:
    page = load_page(os.environ["PAGE_HEADING"], os.environ["PAGE_LEAD"])
    return Response(page.html, "text/html; charset=utf-8", headers=page.headers)


def _docs(_request: Request) -> Response:
    page = docs.docs_page()
    return Response(page.html, "text/html; charset=utf-8", headers=page.headers)


def _document(_request: Request) -> Response:
    return Response.json(api_document())


ROUTES: Final[Mapping[str, Mapping[str, Callable[[Request], Response]]]] = {
    ApiPath.PAGE: {"GET": _page},
    ApiPath.PREDICT: {"POST": _predict},
    ApiPath.BREEDS: {"GET": _breeds},
    ApiPath.EXAMPLE: {"GET": _example},
    ApiPath.HEALTH: {"GET": _health},
    ApiPath.UPLOADS: {"POST": _new_upload},
    ApiPath.DOCS: {"GET": _docs},
    ApiPath.DOCUMENT: {"GET": _document},
}


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one request of API Gateway's proxy integration."""
    started = time.monotonic()
    request = Request.of(event)
    # Never the photo, never the key.
    entry: dict[str, Any] = {"request_id": request.id, "resource": request.resource, "method": request.method}
    allowed = ROUTES.get(request.resource, {})
    try:
        response = _route(request, allowed)
    except InferenceError as error:
        entry["code"] = str(error.code)
        response = Response.error(error, request.id, _hints(error, allowed))
    except Exception:
        LOG.exception("request %s failed", request.id)
        entry["code"] = str(ErrorCode.INTERNAL)
        response = Response.error(internal(), request.id, {})
    milliseconds = round((time.monotonic() - started) * 1000, 1)
    kind = {"content_type": request.media_type, "bytes": len(request.raw_body)} if request.raw_body else {}
    LOG.info(json.dumps(entry | kind | {"status": int(response.status), "ms": milliseconds}))
    return response.event(request.id, cors(request.headers.get("origin"), allowed))


def _route(request: Request, allowed: Mapping[str, Callable[[Request], Response]]) -> Response:
    if not allowed:
        raise InferenceError(ErrorCode.NOT_FOUND, "there is nothing at this path")
    if request.method == "OPTIONS" and _origins():
        return Response("", status=204)
    if request.method not in allowed:
        raise InferenceError(
            ErrorCode.METHOD_NOT_ALLOWED, f"{request.method} is not answered here; {' or '.join(allowed)} is"
        )
    return allowed[request.method](request)


def _hints(error: InferenceError, allowed: Mapping[str, object]) -> dict[str, str]:
    return {"Allow": ", ".join(allowed)} if error.code is ErrorCode.METHOD_NOT_ALLOWED else {}


def _origins() -> list[str]:
    return os.environ.get("CORS_ORIGINS", "").split()


def cors(origin: str | None, methods: Mapping[str, object]) -> dict[str, str]:
    """Return what lets a page of ``origin`` read an answer; nothing where the settings do not name that origin."""
    origins = _origins()
    if origin is None or not ("*" in origins or origin in origins):
        return {}
    return {
        "Access-Control-Allow-Origin": "*" if "*" in origins else origin,
        "Vary": "Origin",
        "Access-Control-Allow-Methods": ", ".join([*methods, "OPTIONS"]),
        "Access-Control-Allow-Headers": "content-type, x-api-key",
        "Access-Control-Expose-Headers": "x-request-id, retry-after",
        "Access-Control-Max-Age": "600",
    }

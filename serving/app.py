"""What the server answers: the ASGI application with SageMaker's routes, in front of a service that knows photos."""

import asyncio
import math
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from contract.inference import OPTIONS_HEADER, RESPONSE_TYPE, ErrorCode, InferenceError
from contract.options import options_of
from serving.admission import Admission, Place
from serving.ending import Ending
from serving.exchange import (
    EXECUTION_PARAMETERS,
    INVOCATIONS,
    METRICS,
    PING,
    ExchangeMiddleware,
    note_error,
    request_id_of,
)
from serving.limits import Limits
from serving.requests import media_type_of
from serving.telemetry import METRICS_TYPE, Telemetry

_Result = TypeVar("_Result")

# A body has this long, and a second more for each so many bytes that have come: 25 MB in 36 s at the least, while a
# client that stops sending holds its place for no longer than 10 s.
BODY_SECONDS: Final = 10.0
_BODY_BYTES_PER_SECOND: Final = 1_000_000
# After so many seconds a client may try again where nothing is wrong but the hurry.
_MOMENT: Final = 1
# nginx's status for a client that has gone: nobody reads it, it is for log and metrics.
_CLIENT_GONE: Final = 499
# What a transform job may do at once: its two factors may give 100 MB at most, and 6 MB is its usual payload.
_TRANSFORM_MEGABYTES: Final = 100
_TRANSFORM_PAYLOAD: Final = 6
_TRANSFORMS: Final = 16


class Service(Protocol):
    """What answers the photos."""

    @property
    def ready(self) -> bool:
        """Whether photos are answered now."""

    @property
    def retry_after(self) -> int:
        """After how many seconds a client that found nothing ready may try again."""

    async def answer(
        self, body: bytes | bytearray, content_type: str | None, options: Iterable[tuple[str, str]]
    ) -> bytes:
        """Return the response's body for a request's; raises InferenceError."""


@dataclass(frozen=True)
class Front:
    """What application and server share."""

    limits: Limits = field(default_factory=Limits)
    telemetry: Telemetry = field(default_factory=Telemetry)
    ending: Ending = field(default_factory=Ending)


def build_app(service: Service, front: Front | None = None) -> Starlette:
    """Return the ASGI application in front of ``service``; every error is the contract's {"error": ...}."""
    front = front or Front()
    routes = _Routes(service, front)
    return Starlette(
        routes=[
            Route(PING, routes.ping, methods=["GET"]),
            Route(INVOCATIONS, routes.invocations, methods=["POST"]),
            Route(METRICS, routes.metrics, methods=["GET"]),
            Route(EXECUTION_PARAMETERS, routes.execution_parameters, methods=["GET"]),
        ],
        middleware=[Middleware(ExchangeMiddleware, front.telemetry, front.ending, front.limits.model_package)],
        exception_handlers={
            InferenceError: _on_inference_error,
            HTTPException: _on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_bug,
        },
    )


class _Routes:
    """The four routes of one server."""

    def __init__(self, service: Service, front: Front) -> None:
        self._service = service
        self._limits = front.limits
        self._telemetry = front.telemetry
        self._ending = front.ending
        self._admission = admission = Admission(front.limits.serving.queue_photos)
        front.telemetry.watch(
            ready=lambda: service.ready,
            waiting=lambda: admission.taken,
            body_bytes=lambda: admission.bytes_taken,
        )

    async def ping(self, _request: Request) -> Response:
        """Say whether photos are answered now, and by which version of the model."""
        if not self._service.ready:
            raise InferenceError(ErrorCode.UNAVAILABLE, "the model is not ready", self._service.retry_after)
        package = self._limits.model_package
        return JSONResponse({"status": "ready"} | ({} if package is None else {"model": package}))

    async def invocations(self, request: Request) -> Response:
        """Answer photos: a place is taken before the body is read, and given back when the client goes."""
        content_type = request.headers.get("content-type")
        media_type_of(content_type)
        options = list(request.query_params.multi_items()) + options_of(request.headers.get(OPTIONS_HEADER))
        limit, seconds = self._limits.body_bytes, self._limits.serving.timeout_seconds
        declared = _declared_bytes(request, limit)
        try:
            with self._admission.enter(declared) as place:
                async with self._ending.limit(seconds):
                    body = await _read_body(request, limit, place)
                    answer = self._service.answer(body, content_type, options)
                    return Response(await _unless_gone(request, answer), media_type=RESPONSE_TYPE)
        except TimeoutError as error:
            why = "the server is ending" if self._ending.begun else f"no answer within {seconds} s"
            raise InferenceError(ErrorCode.UNAVAILABLE, f"{why}: try again", _MOMENT) from error

    async def metrics(self, _request: Request) -> Response:
        """Return the counts in Prometheus' text format; made in a thread, for it takes milliseconds."""
        page = await asyncio.to_thread(self._telemetry.page)
        return Response(page, headers={"content-type": METRICS_TYPE})

    async def execution_parameters(self, _request: Request) -> Response:
        """Tell a transform job that says nothing itself how to ask: one object at a time, several at once."""
        payload = math.ceil(self._limits.body_bytes / 1_048_576) if self._limits.batch_transform else _TRANSFORM_PAYLOAD
        payload = min(payload, _TRANSFORM_PAYLOAD)
        at_once = min(_TRANSFORMS, self._limits.serving.queue_photos, _TRANSFORM_MEGABYTES // payload)
        parameters: dict[str, Any] = {
            "MaxConcurrentTransforms": at_once,
            "BatchStrategy": "SINGLE_RECORD",
            "MaxPayloadInMB": payload,
        }
        return JSONResponse(parameters)


def _declared_bytes(request: Request, limit: int) -> int:
    """Return the length that a request declares, 0 where it does not; more than ``limit`` is refused."""
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else 0
    if size > limit:
        raise _too_large(size, limit)
    return size


async def _read_body(request: Request, limit: int, place: Place) -> bytes:
    """Return the request's body, reading no further than the limit.

    Raises:
        InferenceError: TOO_LARGE as soon as it is too much, TIMEOUT where it comes too slowly.
        ClientDisconnect: the client has gone.
    """
    body = bytearray()
    started = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(started + BODY_SECONDS) as patience:
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large(len(body), limit)
                place.grow(len(body))
                patience.reschedule(started + BODY_SECONDS + len(body) / _BODY_BYTES_PER_SECOND)
    except TimeoutError as error:
        raise InferenceError(ErrorCode.TIMEOUT, f"the body stopped after {len(body):,} bytes") from error
    return bytes(body)


async def _unless_gone(request: Request, work: Awaitable[_Result]) -> _Result:
    """Return what ``work`` returns; cancel it where the client hangs up before.

    Raises:
        ClientDisconnect: it did.
    """
    answering = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((answering, gone), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise ClientDisconnect
        return answering.result()
    finally:
        unfinished = [task for task in (answering, gone) if task.cancel()]
        await asyncio.gather(*unfinished, return_exceptions=True)


async def _gone(request: Request) -> None:
    """Return when the client of a request whose body has been read hangs up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _too_large(size: int, limit: int) -> InferenceError:
    return InferenceError(ErrorCode.TOO_LARGE, f"the body has {size:,} bytes or more; at most {limit:,} are allowed")


async def _on_inference_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, InferenceError)
    # Who sends too slowly would not send the rest faster.
    note_error(request.scope, error.code, drain=error.code is not ErrorCode.TIMEOUT)
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return JSONResponse(error.body(request_id_of(request.scope)), error.status, headers)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's router refused: an unknown path or a wrong method."""
    assert isinstance(error, HTTPException)
    path = request.url.path[:200]
    if error.status_code == 405:
        refused = InferenceError(ErrorCode.METHOD_NOT_ALLOWED, f"{request.method[:20]} {path}: another method expected")
    else:
        refused = InferenceError(
            ErrorCode.NOT_FOUND,
            f"{path}: there are POST {INVOCATIONS} and GET {PING}, {METRICS} and {EXECUTION_PARAMETERS}",
        )
    response = await _on_inference_error(request, refused)
    response.headers.update(error.headers or {})
    return response


async def _on_disconnect(request: Request, _error: Exception) -> Response:
    note_error(request.scope, "ClientGone", drain=False)
    return Response(status_code=_CLIENT_GONE)


async def _on_bug(request: Request, _error: Exception) -> Response:
    """Answer what nobody foresaw; Starlette raises it again behind the answer, so that it is logged with its cause."""
    return await _on_inference_error(request, InferenceError(ErrorCode.INTERNAL, "the prediction failed: see the logs"))

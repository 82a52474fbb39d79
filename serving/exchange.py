"""What every HTTP exchange gets, whatever it asks for: an id, one log line, a count, and a body read to its end."""

import asyncio
import re
import time
import uuid
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.inference import ErrorCode
from serving.ending import Ending
from serving.logs import logger
from serving.telemetry import Telemetry

REQUEST_ID_HEADER: Final = "X-Amzn-SageMaker-Inference-Id"
MODEL_HEADER: Final = "X-Pedigree-Model"
PING: Final = "/ping"
INVOCATIONS: Final = "/invocations"
METRICS: Final = "/metrics"
EXECUTION_PARAMETERS: Final = "/execution-parameters"
ROUTES: Final = (PING, INVOCATIONS, METRICS, EXECUTION_PARAMETERS)
# A client that is answered while it still sends sees a broken connection instead of the answer, so the rest is read and
# thrown away: as much as SageMaker lets through (25 MB), and not for long.
_DRAIN_BYTES: Final = 26_214_400
_DRAIN_SECONDS: Final = 10.0
_SAFE_ID = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)


def request_id_of(scope: Scope) -> str:
    """Return the id that ``ExchangeMiddleware`` gave a request."""
    request_id: str = scope["state"]["request_id"]
    return request_id


def note_error(scope: Scope, code: str, *, drain: bool = True) -> None:
    """Say for log and metrics by which error a request ends, and whether its body is worth waiting for."""
    scope["state"]["code"] = code
    scope["state"]["drain"] = drain


class ExchangeMiddleware:
    """Gives a request its id (the caller's own where it sent a usable one), drains its body, logs how it ended."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, ending: Ending, model_package: str | None) -> None:
        self._app = app
        self._telemetry = telemetry
        self._ending = ending
        self._model_package = model_package

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if _SAFE_ID.fullmatch(given) else str(uuid.uuid4())
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        started = time.perf_counter()
        body = _CountedBody(scope, receive)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                if state.get("drain", True):
                    await body.drain()
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                if self._model_package is not None:
                    headers[MODEL_HEADER] = self._model_package
                if self._ending.begun or not body.ended:
                    headers["Connection"] = "close"
            await send(message)

        try:
            await self._app(scope, body.receive, send_with_id)
        except Exception:
            status = status or 500  # what Starlette answers behind this middleware
            note_error(scope, ErrorCode.INTERNAL)
            raise
        finally:
            if scope["path"] != PING:
                seconds = time.perf_counter() - started
                code = state.get("code", "OK")
                self._count(scope, status, code, seconds)
                fields = {
                    "request_id": request_id,
                    "method": scope["method"][:20],
                    "path": scope["path"][:200],
                    "status": status,
                    "code": code,
                    "bytes": body.size,
                    "milliseconds": round(seconds * 1000, 1),
                }
                logger.info("request", extra={"fields": fields})

    def _count(self, scope: Scope, status: int, code: str, seconds: float) -> None:
        path = scope["path"] if scope["path"] in ROUTES else "other"  # strangers' paths would be counters without end
        self._telemetry.request(path, status, code, seconds)


class _CountedBody:
    """A request's body on its way to the application."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        # Such a client sends nothing before it is told to go on, which the first read does.
        self._waits = Headers(scope=scope).get("expect", "").lower() == "100-continue"
        self.ended = False
        self.size = 0

    async def receive(self) -> Message:
        """Return the next ASGI message."""
        self._waits = False
        message = await self._receive()
        self.size += len(message.get("body", b""))
        self.ended = not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read what is left and forget it, within bounds."""
        if self._waits:
            return
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not self.ended and self.size <= _DRAIN_BYTES:
                    await self.receive()
        except TimeoutError:
            logger.warning("a refused request's body did not end within %g s", _DRAIN_SECONDS)

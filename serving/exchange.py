"""What every HTTP exchange gets, whatever it asks for: an id, one log line, and a body read to its end."""

import asyncio
import re
import time
import uuid
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.logs import logger

REQUEST_ID_HEADER: Final = "X-Amzn-SageMaker-Inference-Id"
PING: Final = "/ping"
# A client that is answered while it still sends sees a broken connection instead of the answer, so the rest is read and
# thrown away: as much as SageMaker lets through (25 MB), and not for long.
_DRAIN_BYTES: Final = 26_214_400
_DRAIN_SECONDS: Final = 10.0
_SAFE_ID = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)


def request_id_of(scope: Scope) -> str:
    """Return the id that ``ExchangeMiddleware`` gave a request."""
    request_id: str = scope["state"]["request_id"]
    return request_id


class ExchangeMiddleware:
    """Gives a request its id (the caller's own where it sent a usable one), drains its body, logs how it ended."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if _SAFE_ID.fullmatch(given) else str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        body = _CountedBody(scope, receive)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                await body.drain()
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, body.receive, send_with_id)
        finally:
            if scope["path"] != PING:
                fields = {
                    "request_id": request_id,
                    "method": scope["method"][:20],
                    "path": scope["path"][:200],
                    "status": status,
                    "bytes": body.size,
                    "milliseconds": round((time.perf_counter() - started) * 1000, 1),
                }
                logger.info("request", extra={"fields": fields})


class _CountedBody:
    """A request's body on its way to the application."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        # Such a client sends nothing before it is told to go on, which the first read does.
        self._waits = Headers(scope=scope).get("expect", "").lower() == "100-continue"
        self._ended = False
        self.size = 0

    async def receive(self) -> Message:
        """Return the next ASGI message."""
        self._waits = False
        message = await self._receive()
        self.size += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read what is left and forget it, within bounds."""
        if self._waits:
            return
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not self._ended and self.size <= _DRAIN_BYTES:
                    await self.receive()
        except TimeoutError:
            logger.warning("a refused request's body did not end within %g s", _DRAIN_SECONDS)

"""What stands before MiniStack's application: no unsigned root, no open switches, and API Gateway's size limit."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

from local_cloud.adapter import api_gateway, routing

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# API Gateway's quota for a request's body.
MAX_API_BODY: Final = 10 * 1024 * 1024
# MiniStack's own switches take anybody's word: the first would delete everything.
_ADMINISTRATION: Final = ("/_ministack/reset", "/_ministack/config")
# What is read of a body that is too large, so that its client gets to read the refusal.
_MAX_DRAINED: Final = 64 * 1024 * 1024


class BodyTooLargeError(Exception):
    """A body went over the limit while it was read."""


def guard(inner: Application, on_change: Callable[[], None]) -> Application:
    """Return MiniStack's application behind the checks; ``on_change`` hears of requests that may change state."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await inner(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        refusal = routing.refusal_of_unsigned_root(scope["method"], scope["path"], headers, query)
        if refusal is None and scope["path"] in _ADMINISTRATION:
            refusal = json_response(403, {"message": f"{scope['path']} is closed: it asks for no credentials"})
        if refusal is not None:
            await respond(send, refusal)
            return
        if _may_change(scope["method"], headers):
            on_change()
        stage = api_gateway.api_request(headers.get("host", ""), scope["path"])
        if stage is None:
            await inner(scope, receive, send)
            return
        await _limited(inner, scope, receive, send, headers, stage)

    return application


def _may_change(method: str, headers: dict[str, str]) -> bool:
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    return method not in ("GET", "HEAD", "OPTIONS") and not operation.startswith(("Describe", "List", "Get"))


async def _limited(
    inner: Application, scope: Scope, receive: Receive, send: Send, headers: dict[str, str], stage: tuple[str, str]
) -> None:
    """Pass a request to a deployed API on, unless its body is larger than API Gateway takes."""
    answered = False
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_API_BODY:
            raise BodyTooLargeError
        return message

    async def watched(message: Message) -> None:
        nonlocal answered
        answered = True
        await send(message)

    try:
        announced = headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > MAX_API_BODY:
            raise BodyTooLargeError
        await inner(scope, counted, watched)
    except BodyTooLargeError:
        if answered:
            raise
        await _drain(receive)
        response = api_gateway.gateway_response(*stage, "REQUEST_TOO_LARGE", api_gateway.TOO_LONG, headers)
        await respond(send, response or json_response(413, {"message": api_gateway.TOO_LONG}), close=True)


async def _drain(receive: Receive) -> None:
    """Read what a client still sends, within reason: most read no answer before they have sent everything."""
    drained = 0
    while drained < _MAX_DRAINED:
        message = await receive()
        drained += len(message.get("body", b""))
        if not message.get("more_body", False):
            return


def json_response(status: int, body: dict[str, Any]) -> routing.Response:
    """Return a small JSON response."""
    return status, {"Content-Type": "application/json"}, json.dumps(body).encode()


async def respond(send: Send, response: routing.Response, *, close: bool = False) -> None:
    """Send a whole response."""
    status, headers, body = response
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    pairs.append((b"content-length", str(len(body)).encode()))
    if close:
        pairs.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})

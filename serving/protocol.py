"""HTTP on one connection: uvicorn's httptools protocol, with bounds on how long and how large a request's head may be.

httptools' parser (Node's llhttp) takes half of the CPU time of h11 per request and is the stricter one: two lengths, a
length beside chunks, bare line feeds or a word after "chunked" in Transfer-Encoding are refused, and with them what
request smuggling is made of. What it leaves open is closed here.
"""

import asyncio
import json
import socket
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contract.inference import RESPONSE_TYPE, ErrorCode, InferenceError

# A request line and headers: h11's own limit, four times of what the proxies in front let through. As much may come
# between two bytes of a body or behind its last one: what may stand beside chunks, which nobody here reads.
MAX_HEAD_BYTES: Final = 65_536
# From a head's first byte to its last: a client on a bad line needs one or two round trips.
HEAD_SECONDS: Final = 10.0


class Protocol(HttpToolsProtocol):
    """Closes connections on which nothing, or no end of a head, arrives; knows no upgrade to another protocol."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._bytes_beside = 0  # of a head, or of what stands beside a body's bytes
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; a connection on which nothing is sent ends like one on which nothing more is sent."""
        super().connection_made(transport)
        # asyncio does this only for sockets whose protocol is named; those that socket.create_server accepts have none.
        # Without it the second half of an answer, its body, waits 40 ms for the client to acknowledge the first.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come; refuse a head, or what stands beside a body, that grows beyond its limit."""
        self._bytes_beside += len(data)
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            self._stop_head_timer()
        if self._bytes_beside > MAX_HEAD_BYTES:
            self._refuse("the request's head is too long" if self._in_head else "the body's chunks say too much")
        elif self._in_head and self._bytes_beside and self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_did_not_end)

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._in_head = True
        self._stop_head_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is whole."""
        if self.parser.should_upgrade():
            raise httptools.HttpParserError("no other protocol is spoken here")
        if any(name == b"transfer-encoding" and value.lower() != b"chunked" for name, value in self.headers):
            raise httptools.HttpParserError("no other coding than chunks is read here")
        self._in_head = False
        self._bytes_beside = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that bytes of the body have come."""
        self._bytes_beside = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the next head may begin."""
        super().on_message_complete()
        self._in_head = True
        self._bytes_beside = 0

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with the contract's error, and close."""
        self._refuse(msg)

    def _head_did_not_end(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False  # an earlier request of this connection still gets its answer
        else:
            self._refuse("the request's head did not end")

    def _refuse(self, message: str) -> None:
        self._stop_head_timer()
        if self.transport.is_closing():
            return
        refused = InferenceError(ErrorCode.BAD_REQUEST, message)
        body = json.dumps(refused.body("none")).encode()
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: {RESPONSE_TYPE}\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

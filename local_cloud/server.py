"""One process that is the laptop's AWS: it starts, announces itself, and ends without leaving anything behind."""

import asyncio
import contextlib
import functools
import logging
import logging.handlers
import os
import signal
import socket
import ssl
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from local_cloud.certificate import Certificate, ensure_certificate
from local_cloud.environment import prepare_environment
from local_cloud.ports import take_port
from local_cloud.settings import Settings
from local_cloud.state import StateDirectory

if TYPE_CHECKING:
    from local_cloud.cloud import Cloud
    from local_cloud.gateway import Application, Message, Receive, Scope, Send

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LOG_BYTES: Final = 10_000_000
# How long open requests may delay the end, once every job, endpoint and worker is gone and the state is saved.
_LAST_REQUESTS_SECONDS: Final = 1.5
_logger = logging.getLogger("local_cloud")


class _StoppedError(BaseException):
    """A signal came in before the event loop took them over."""


# Python drops an exception that a signal raises in a destructor or a weak reference's callback, of which imports have
# many, so that the signal is written down as well.
_stopped_early: Final[list[int]] = []


def run(settings: Settings, *, exit_with_stdin: bool = False) -> None:
    """Run a local cloud until a signal comes in, or standard input ends where that is asked for.

    Raises:
        LocalCloudError: it cannot start; nothing listens then, and nothing was announced.
    """
    state = StateDirectory(settings.state)
    with contextlib.suppress(_StoppedError):
        for number in _SIGNALS:
            signal.signal(number, _stop_early)
        if exit_with_stdin:
            threading.Thread(target=_end_with_stdin, name="stdin-watch", daemon=True).start()
        try:
            state.acquire()
            with (
                take_port(settings.port, "--port") as listener,
                take_port(settings.api_port, "--api-port") as front,
            ):
                _configure_logging(state.log)
                _logger.info("starting on %s", settings.endpoint)
                certificate = ensure_certificate(state.tls)
                prepare_environment(settings, state, certificate)
                cloud = _compose(settings, state, certificate)
                asyncio.run(_serve(cloud, settings, state, certificate, listener, front))
        finally:
            state.release()


def _compose(settings: Settings, state: StateDirectory, certificate: Certificate) -> "Cloud":
    """Import MiniStack, which only now may read its environment, and put the parts together."""
    from local_cloud.adapter.check import check_ministack
    from local_cloud.cloud import Cloud

    check_ministack()
    return Cloud(settings, state, certificate)


async def _serve(
    cloud: "Cloud",
    settings: Settings,
    state: StateDirectory,
    certificate: Certificate,
    listener: socket.socket,
    front: socket.socket,
) -> None:
    """Serve both addresses until a signal comes in, then end everything in order."""
    stop, closed, ready = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_report_unexpected)
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    if _stopped_early:
        return
    servers = [
        asyncio.create_task(_listen(_tell_when_started(cloud.application, ready), listener, closed, certificate)),
        asyncio.create_task(_listen(cloud.front, front, closed, None)),
    ]
    failed = asyncio.gather(*servers)
    stopping = asyncio.create_task(stop.wait())
    try:
        await _first(ready.wait(), stopping, failed)
        if not stop.is_set():
            connection = await asyncio.to_thread(cloud.start)
            if not stop.is_set():
                state.announce({**connection, "pid": os.getpid()})
                _say(f"local cloud ready: AWS at {settings.endpoint}, the API at {settings.api_url}")
                await _first(stopping, failed)
    finally:
        stopping.cancel()
        state.withdraw()
        await _end(cloud, closed, failed)


async def _end(cloud: "Cloud", closed: asyncio.Event, servers: "asyncio.Future[Any]") -> None:
    """End every process, save everything, then close the doors."""
    _logger.info("stopping")
    status = 1
    try:
        await asyncio.to_thread(cloud.stop)
        status = 0
    finally:
        closed.set()
        # By now everything is saved. Clients that keep their connection, and threads that wait for an answer from a
        # model or a function, end with the process, not the other way round.
        timer = threading.Timer(_LAST_REQUESTS_SECONDS, functools.partial(os._exit, status))
        timer.daemon = True
        timer.start()
        await asyncio.wait([servers])
        _logger.info("stopped")


def _report_unexpected(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody caught, save for clients that hang up without TLS's goodbye, as pooled connections do."""
    error = context.get("exception")
    if isinstance(error, TimeoutError | ConnectionError | ssl.SSLError):
        _logger.debug("a client is gone: %s", error)
    else:
        loop.default_exception_handler(context)


async def _first(*awaitables: Any) -> None:
    """Wait for the first of several, and raise what it raised."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _listen(
    application: "Application", listener: socket.socket, closed: asyncio.Event, certificate: Certificate | None
) -> None:
    """Serve one socket, with TLS where there is a certificate."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    # Hypercorn closes the descriptor it is given; the socket object here closes its own.
    config.bind = [f"fd://{os.dup(listener.fileno())}"]
    config.alpn_protocols = ["http/1.1"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = _LAST_REQUESTS_SECONDS / 3
    config.errorlog = logging.getLogger("hypercorn.error")
    if certificate is not None:
        config.certfile, config.keyfile = str(certificate.server), str(certificate.key)
    await serve(application, config, shutdown_trigger=closed.wait, mode="asgi")  # type: ignore[arg-type]


def _tell_when_started(inner: "Application", started: asyncio.Event) -> "Application":
    """Set ``started`` once the application has started, which restores its state."""

    async def application(scope: "Scope", receive: "Receive", send: "Send") -> None:
        async def watched(message: "Message") -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                started.set()

        await inner(scope, receive, watched if scope["type"] == "lifespan" else send)

    return application


def _stop_early(number: int, _frame: FrameType | None) -> None:
    """End at once: nothing runs yet, and what was taken is given back on the way out."""
    _stopped_early.append(number)
    raise _StoppedError(number)


def _end_with_stdin() -> None:
    """Send this process SIGTERM when the last writer of its standard input is gone."""
    with contextlib.suppress(OSError):  # closed from the beginning: that is an end, too
        # Not through sys.stdin: a thread that holds its lock would abort the interpreter's end.
        while os.read(0, 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


def _configure_logging(path: Path) -> None:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    # MiniStack configures logging while it is imported, but only where nobody has.
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("botocore", "boto3", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _say(text: str) -> None:
    """Print one line, if anybody listens."""
    _logger.info("%s", text)
    with contextlib.suppress(BrokenPipeError, ValueError):
        print(text, flush=True)

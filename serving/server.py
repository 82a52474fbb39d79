"""The model server: ``python -m serving.server``. Puts limits, service and application together, from start to end."""

import asyncio
import io
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import uvicorn
from PIL import Image

from serving.app import Front, build_app
from serving.ending import Ending
from serving.incarnation import ModelLoadError
from serving.limits import LimitError, Limits
from serving.logs import configure_logging, logger
from serving.protocol import Protocol
from serving.scaling import scaled
from serving.service import ModelService
from serving.telemetry import Telemetry
from vision.classifier import ArtifactError

# SageMaker kills a container 30 s after it asked it to end. Until then: first requests that were on their way on open
# connections are taken, then whoever is in has this long to be answered, and what does not end by itself is ended.
_LINGER_SECONDS: Final = 0.5
_ANSWER_SECONDS: Final = 18.0
_GRACE_SECONDS: Final = 19
# Longer than the proxies in front keep a connection, so that it is never closed under a request on its way.
_KEEP_ALIVE_SECONDS: Final = 75
# Connections that the kernel keeps until they are accepted; Linux cuts it to net.core.somaxconn, 4096.
_BACKLOG: Final = 4096
# asyncio tries to accept as many in a row as its own backlog says, and goes on where no descriptor is left: each of
# 4096 attempts a traceback in the log and one more attempt a second later, while nobody else is served.
_ACCEPTED_IN_A_ROW: Final = 1


class Server(uvicorn.Server):
    """uvicorn's server, ended so that no request which has reached this machine is lost."""

    def __init__(self, config: uvicorn.Config, ending: Ending, listener: socket.socket) -> None:
        super().__init__(config)
        self._ending = ending
        self._listener = listener

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, between which everybody else has a turn."""
        self.config.backlog = _ACCEPTED_IN_A_ROW
        await super().startup(sockets)
        self._listener.listen(_BACKLOG)  # asyncio has cut it to its own

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take in whoever has connected, then nobody, and answer until everybody has gone or the time is over."""
        self._ending.begin(_ANSWER_SECONDS)
        waiting = accept_all(self._listener)
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            await loop.connect_accepted_socket(self._protocol, connection)
        # From now on every answer ends its connection. Who has sent a request before knowing is still heard.
        await asyncio.sleep(_LINGER_SECONDS)
        await super().shutdown(sockets)

    def _protocol(self) -> Protocol:
        return Protocol(self.config, self.server_state, {})


def accept_all(listener: socket.socket) -> list[socket.socket]:
    """Return the connections that the kernel has accepted and nobody has asked for."""
    accepted = []
    while True:
        try:
            accepted.append(listener.accept()[0])
        except BlockingIOError:
            return accepted
        except OSError as error:  # out of descriptors, or a client that has gone already
            logger.warning("a waiting connection was not accepted: %s", error)
            return accepted


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError: the port is taken.
    """
    listener = socket.create_server((host, port), backlog=_BACKLOG)
    listener.setblocking(False)
    return listener


async def serve(service: ModelService, server: Server, listener: socket.socket, telemetry: Telemetry) -> None:
    """Serve until a signal ends it, loading the model meanwhile; a failed loading ends it and is raised."""
    starting = asyncio.create_task(_start(service))
    reporting = asyncio.create_task(telemetry.report())

    def on_started(task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        if task.exception() is None:
            logger.info("ready")
        else:
            server.should_exit = True

    starting.add_done_callback(on_started)
    try:
        await server.serve(sockets=[listener])
    finally:
        reporting.cancel()
        if not starting.done():
            starting.cancel()
        await asyncio.gather(starting, reporting, return_exceptions=True)
        await service.stop()
    if not starting.cancelled():
        starting.result()


async def _start(service: ModelService) -> None:
    """Load what decoding needs, for which the first photos would wait otherwise, and then the model."""
    await asyncio.to_thread(scaled, _photo_of_nothing(), service.card.preprocessing)
    await service.start()


def _photo_of_nothing() -> bytes:
    """Return a JPEG as a phone would send it."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((640, 480)).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def raise_open_files() -> int:
    """Let this process have as many connections open as it may; return how many files that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _on_signal(_number: int, _frame: FrameType | None) -> NoReturn:
    """End well. uvicorn, once it has shut down in good order, raises the signal again."""
    raise SystemExit(0)


def _run(limits: Limits, model_dir: Path) -> None:
    front = Front(limits, Telemetry(limits.model_package))
    service = ModelService(model_dir, limits.serving, front.telemetry)
    config = uvicorn.Config(
        build_app(service, front),
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    try:
        listener = listen(limits.host, limits.port)
    except OSError as error:
        sys.exit(f"the server cannot listen on {limits.host}:{limits.port}: {error}")
    with listener:
        fields = {"open_files": raise_open_files(), "limits": repr(limits)}
        logger.info("serving %s on %s:%d", model_dir, limits.host, limits.port, extra={"fields": fields})
        asyncio.run(serve(service, Server(config, front.ending, listener), listener, front.telemetry))


def main() -> None:
    """Serve the model in SM_MODEL_DIR; the exit code is 0 only where a signal ended it."""
    configure_logging()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)
    try:
        limits = Limits.read(os.environ)
        configure_logging(limits.log_level)
        _run(limits, Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model")))
    except LimitError as error:
        sys.exit(f"the server cannot start: {error}")
    except (ArtifactError, ModelLoadError) as error:
        sys.exit(f"the model cannot be served: {error}")


if __name__ == "__main__":
    main()

"""The model server: ``python -m serving.server``. GET /ping and POST /invocations, as SageMaker asks of a container."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from functools import partial
from types import FrameType
from typing import Final, NoReturn

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from contract.inference import MAX_PHOTO_BYTES, RESPONSE_TYPE, ErrorCode, InferenceError
from serving.exchange import PING, ExchangeMiddleware, request_id_of
from serving.inference import check_content_type, model_fn
from serving.logs import configure_logging, logger
from serving.service import ModelService, available_cores
from vision.classifier import ArtifactError

# SageMaker kills a container 30 s after it asked it to end.
_GRACE_SECONDS: Final = 25
# Longer than the proxies in front keep a connection, so that it is never closed under a request on its way.
_KEEP_ALIVE_SECONDS: Final = 75


def build_app(service: ModelService) -> Starlette:
    """Return the ASGI application in front of ``service``; every error is the contract's {"error": ...}."""

    async def ping(_request: Request) -> Response:
        if not service.ready:
            raise InferenceError(ErrorCode.UNAVAILABLE, "the model is still loading")
        return JSONResponse({"status": "ready"})

    async def invocations(request: Request) -> Response:
        content_type = request.headers.get("content-type")
        check_content_type(content_type)
        body = await read_body(request)
        return Response(
            await service.answer(body, content_type, request.headers.get("accept")), media_type=RESPONSE_TYPE
        )

    return Starlette(
        routes=[
            Route(PING, ping, methods=["GET"]),
            Route("/invocations", invocations, methods=["POST"]),
        ],
        middleware=[Middleware(ExchangeMiddleware)],
        exception_handlers={
            InferenceError: _on_inference_error,
            HTTPException: _on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_bug,
        },
    )


async def read_body(request: Request) -> bytes:
    """Return the request's body, reading no further than the limit.

    Raises:
        InferenceError: TOO_LARGE, from the declared length before a byte is read, else as soon as it is too much.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_PHOTO_BYTES:
        raise _too_large(int(declared))
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_PHOTO_BYTES:
            raise _too_large(len(body))
    return bytes(body)


def _too_large(size: int) -> InferenceError:
    return InferenceError(
        ErrorCode.TOO_LARGE, f"the photo has {size:,} bytes or more; at most {MAX_PHOTO_BYTES:,} are allowed"
    )


async def _on_inference_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, InferenceError)
    return JSONResponse(error.body(request_id_of(request.scope)), error.status)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's router refused: an unknown path or a wrong method."""
    assert isinstance(error, HTTPException)
    path = request.url.path[:200]
    if error.status_code == 405:
        refused = InferenceError(ErrorCode.METHOD_NOT_ALLOWED, f"{request.method[:20]} {path}: another method expected")
    else:
        refused = InferenceError(ErrorCode.NOT_FOUND, f"{path}: there are GET /ping and POST /invocations")
    response = await _on_inference_error(request, refused)
    response.headers.update(error.headers or {})
    return response


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it; the status is for the log line


async def _on_bug(request: Request, _error: Exception) -> Response:
    """Answer what nobody foresaw; Starlette raises it again behind the answer, so that it is logged with its cause."""
    return await _on_inference_error(request, InferenceError(ErrorCode.INTERNAL, "the prediction failed: see the logs"))


def listening_address(environment: Mapping[str, str]) -> tuple[str, int]:
    """Return host and port: 0.0.0.0:8080 as SageMaker expects, or this machine's SAGEMAKER_BIND_TO_PORT."""
    port = environment.get("SAGEMAKER_BIND_TO_PORT")
    if not port:
        return "0.0.0.0", 8080  # noqa: S104  SageMaker reaches the container from outside
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise SystemExit(f"SAGEMAKER_BIND_TO_PORT={port!r}: a port number from 1 to 65535 expected")
    return "127.0.0.1", int(port)


async def serve(service: ModelService, config: uvicorn.Config) -> None:
    """Serve until a signal ends it, loading the model meanwhile; a failed loading ends it and is raised."""
    server = uvicorn.Server(config)
    starting = asyncio.create_task(service.start())

    def on_started(task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        if task.exception() is None:
            logger.info("ready")
        else:
            server.should_exit = True

    starting.add_done_callback(on_started)
    await server.serve()
    if starting.done():
        starting.result()


def _on_signal(_number: int, _frame: FrameType | None) -> NoReturn:
    """End well. uvicorn, once it has shut down in good order, raises the signal again."""
    raise SystemExit(0)


def main() -> None:
    """Load the model in SM_MODEL_DIR and serve it; the exit code is 0 only where a signal ended it."""
    configure_logging()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)
    host, port = listening_address(os.environ)
    model_dir = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(available_cores())
    service = ModelService(partial(model_fn, model_dir))
    config = uvicorn.Config(
        build_app(service),
        host=host,
        port=port,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    logger.info("serving %s on %s:%d", model_dir, host, port)
    try:
        asyncio.run(serve(service, config))
    except ArtifactError as error:
        sys.exit(f"the model cannot be served: {error}")


if __name__ == "__main__":
    main()

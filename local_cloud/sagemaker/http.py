"""The service alone over HTTP, for plain boto3 and for use beside any emulator."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local_cloud.sagemaker.errors import ServiceError, unknown_operation, validation
from local_cloud.sagemaker.service import SageMakerService
from local_cloud.sagemaker.wire import dumps

_JSON = "application/x-amz-json-1.1"
TARGET_PREFIX: Final = "SageMaker"
Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]


def control_plane(handle: Call, prefix: str, target: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Answer one JSON 1.1 request; blocks.

    Args:
        handle: Carries out an operation, as ``SageMakerService.handle`` does.
        prefix: What the service's name is in X-Amz-Target.
        target: The X-Amz-Target header, ``<prefix>.<Operation>``.
        body: The request's body.

    Returns:
        Status, headers and body; errors included.
    """
    headers = {"content-type": _JSON}
    try:
        service, _, operation = target.partition(".")
        if service != prefix or not operation:
            raise unknown_operation(target or "(no X-Amz-Target header)")
        try:
            request = json.loads(body or b"{}")
        except ValueError as error:
            raise ServiceError("SerializationException", f"The request is no JSON: {error}") from error
        if not isinstance(request, dict):
            raise validation("The request must be a JSON object.")
        return 200, headers, dumps(handle(operation, request))
    except ServiceError as error:
        return error.http_status, headers, dumps({"__type": error.code, "message": error.message})


def create_app(service: SageMakerService) -> Starlette:
    """Return the ASGI application; the service starts and stops with it."""

    async def control(request: Request) -> Response:
        target = request.headers.get("x-amz-target", "")
        status, headers, body = await run_in_threadpool(
            control_plane, service.handle, TARGET_PREFIX, target, await request.body()
        )
        return Response(body, status, headers)

    async def invocations(request: Request) -> Response:
        name = request.path_params["name"]
        status, headers, body = await run_in_threadpool(
            service.invoke_endpoint, name, await request.body(), dict(request.headers)
        )
        return Response(body, status, headers)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(service.start)
        yield
        await run_in_threadpool(service.stop)

    routes = [
        Route("/", control, methods=["POST"]),
        Route("/endpoints/{name}/invocations", invocations, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)

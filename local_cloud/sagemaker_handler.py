"""SageMaker's requests, as MiniStack hands them over: permissions beyond the first, then the service itself."""

import asyncio
import contextvars
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local_cloud import permissions
from local_cloud.adapter import routing
from local_cloud.adapter.identities import (
    SAGEMAKER_PRINCIPAL,
    AccessDeniedError,
    AssumeRoleError,
    assume_role,
    require_permission,
    require_trust,
)
from local_cloud.sagemaker.http import TARGET_PREFIX, control_plane
from local_cloud.sagemaker.service import SageMakerService, ServiceError
from local_cloud.sagemaker.wire import dumps
from local_cloud.settings import ACCOUNT, REGION

Handler = Callable[[str, str, Mapping[str, str], bytes, Any], Awaitable[routing.Response]]
_JSON = {"Content-Type": "application/x-amz-json-1.1"}
# Requests wait in threads for models, and while a model is replaced; other services must not wait with them.
_THREADS = 64


def sagemaker(service: SageMakerService) -> routing.Service:
    """Return SageMaker as a service beside MiniStack's; its requests' first permission is checked before it."""
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="sagemaker")

    def answer(target: str, path: str, headers: Mapping[str, str], body: bytes) -> routing.Response:
        refused = refusal(permissions.checks(target, path, body, REGION, ACCOUNT)[1:], headers)
        if refused is not None:
            return refused
        if target:
            return control_plane(service.handle, TARGET_PREFIX, target, body)
        return service.invoke_endpoint(path.split("/")[2], body, headers)

    async def handle(method: str, path: str, headers: Mapping[str, str], body: bytes, _query: Any) -> routing.Response:
        target = headers.get("x-amz-target", "")
        parts = [part for part in path.split("/") if part]
        if not target and not (method == "POST" and parts[:1] == ["endpoints"] and parts[2:] == ["invocations"]):
            message = f"{method} {path} is no operation of SageMaker that is offered here."
            return 404, dict(_JSON), dumps({"__type": "UnknownOperationException", "message": message})
        # The account and region of the request travel with its context.
        call = functools.partial(contextvars.copy_context().run, answer, target, path, headers, body)
        return await asyncio.get_running_loop().run_in_executor(pool, call)

    return routing.Service(
        name=permissions.SERVICE,
        target_prefix=TARGET_PREFIX,
        host_patterns=(r"sagemaker\.", r"runtime\.sagemaker\."),
        models=("sagemaker-runtime", "sagemaker"),
        checks=permissions.checks,
        handle=handle,
    )


def refusal(checks: Sequence[permissions.Check], headers: Mapping[str, str]) -> routing.Response | None:
    """Check what MiniStack did not: further resources, the right to pass a role, and that role's trust in SageMaker."""
    key = routing.access_key_of(headers)
    try:
        for check in checks:
            require_permission(key, check.action, check.resource, check.context)
            if check.action == "iam:PassRole":
                require_trust(check.resource, SAGEMAKER_PRINCIPAL)
    except AccessDeniedError as error:
        return 400, dict(_JSON), dumps({"__type": "AccessDeniedException", "message": str(error)})
    except AssumeRoleError as error:
        return 400, dict(_JSON), dumps({"__type": "ValidationException", "message": str(error)})
    return None


def credentials_for(role_arn: str, session_name: str) -> dict[str, str]:
    """Return the AWS_* variables under which SageMaker runs a job or fetches a model.

    Raises:
        ServiceError: the role does not exist or does not trust SageMaker.
    """
    try:
        return assume_role(role_arn, SAGEMAKER_PRINCIPAL, session_name)
    except AssumeRoleError as error:
        raise ServiceError("ValidationException", str(error)) from error

"""SageMaker's requests, as MiniStack hands them over: permissions beyond the first, then the service itself."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from local_cloud.adapter import routing
from local_cloud.adapter.identities import (
    SAGEMAKER_PRINCIPAL,
    AccessDeniedError,
    AssumeRoleError,
    assume_role,
    require_permission,
    require_trust,
)
from local_cloud.permissions import checks
from local_cloud.sagemaker.http import control_plane
from local_cloud.sagemaker.service import SageMakerService, ServiceError
from local_cloud.sagemaker.wire import dumps
from local_cloud.settings import ACCOUNT, REGION

Handler = Callable[[str, str, Mapping[str, str], bytes, Any], Awaitable[routing.Response]]
_JSON = {"Content-Type": "application/x-amz-json-1.1"}


def sagemaker_handler(service: SageMakerService) -> Handler:
    """Return a handler in MiniStack's form; the request's signature and first permission are checked before it."""

    def answer(target: str, path: str, headers: Mapping[str, str], body: bytes) -> routing.Response:
        try:
            _authorize(target, path, headers, body)
        except AccessDeniedError as error:
            return 400, dict(_JSON), dumps({"__type": "AccessDeniedException", "message": str(error)})
        except AssumeRoleError as error:
            return 400, dict(_JSON), dumps({"__type": "ValidationException", "message": str(error)})
        if target:
            return control_plane(service, target, body)
        return service.invoke_endpoint(path.split("/")[2], body, headers)

    async def handle(method: str, path: str, headers: Mapping[str, str], body: bytes, _query: Any) -> routing.Response:
        target = headers.get("x-amz-target", "")
        parts = [part for part in path.split("/") if part]
        if not target and not (method == "POST" and parts[:1] == ["endpoints"] and parts[2:] == ["invocations"]):
            message = f"{method} {path} is no operation of SageMaker that is offered here."
            return 404, dict(_JSON), dumps({"__type": "UnknownOperationException", "message": message})
        return await asyncio.to_thread(answer, target, path, headers, body)

    return handle


def _authorize(target: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
    """Check what MiniStack did not: further resources, the right to pass a role, and that role's trust in SageMaker."""
    key = routing.access_key_of(headers)
    for check in checks(target, path, body, REGION, ACCOUNT)[1:]:
        require_permission(key, check.action, check.resource, check.context)
        if check.action == "iam:PassRole":
            require_trust(check.resource, SAGEMAKER_PRINCIPAL)


def credentials_for(role_arn: str, session_name: str) -> dict[str, str]:
    """Return the AWS_* variables under which SageMaker runs a job or fetches a model.

    Raises:
        ServiceError: the role does not exist or does not trust SageMaker.
    """
    try:
        return assume_role(role_arn, SAGEMAKER_PRINCIPAL, session_name)
    except AssumeRoleError as error:
        raise ServiceError("ValidationException", str(error)) from error

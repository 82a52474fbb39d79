"""Application Auto Scaling's requests, as MiniStack hands them over."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from local_cloud.adapter import routing
from local_cloud.autoscaling import names, permissions
from local_cloud.autoscaling.service import ScalingService
from local_cloud.sagemaker.http import control_plane
from local_cloud.sagemaker_handler import refusal
from local_cloud.settings import ACCOUNT, REGION


def scaling(service: ScalingService) -> routing.Service:
    """Return Application Auto Scaling as a service beside MiniStack's."""

    def answer(target: str, path: str, headers: Mapping[str, str], body: bytes) -> routing.Response:
        refused = refusal(permissions.checks(target, path, body, REGION, ACCOUNT)[1:], headers)
        if refused is None:
            return control_plane(service.handle, names.TARGET_PREFIX, target, body)
        # What the caller lacks on endpoint and alarms is told as a request that cannot be carried out.
        status, kind, content = refused
        return status, kind, json.dumps({**json.loads(content), "__type": "ValidationException"}).encode()

    async def handle(_method: str, path: str, headers: Mapping[str, str], body: bytes, _query: Any) -> routing.Response:
        return await asyncio.to_thread(answer, headers.get("x-amz-target", ""), path, headers, body)

    return routing.Service(
        name=names.SERVICE,
        target_prefix=names.TARGET_PREFIX,
        host_patterns=(r"application-autoscaling\.",),
        models=("application-autoscaling",),
        checks=permissions.checks,
        handle=handle,
    )

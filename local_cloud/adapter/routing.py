"""Requests: SageMaker's are served by the same endpoint, and the root's unsigned keys are refused."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from local_cloud.permissions import SERVICE, checks
from local_cloud.settings import LocalCloudError

Application = Callable[..., Awaitable[None]]
Response = tuple[int, dict[str, str], bytes]


def application() -> Application:
    """Return MiniStack's ASGI application.

    Raises:
        LocalCloudError: MiniStack read its environment before that was prepared.
    """
    from ministack import app

    if not app.AUTH:
        raise LocalCloudError("MiniStack was imported before its environment was prepared")
    inner: Application = app.app
    return inner


def refusal_of_unsigned_root(method: str, path: str, headers: dict[str, str], query: dict[str, Any]) -> Response | None:
    """Refuse the keys that MiniStack takes for the account's root whatever their signature; None for all others."""
    from ministack.core import iam_actions, iam_evaluator, router

    key = router.extract_access_key_id(headers, query)
    if not key or not iam_evaluator.is_root_access_key(key):
        return None
    service = router.detect_service(method, path, headers, query)
    message = "The security token included in the request is invalid."
    response: Response = iam_actions.access_denied_response(
        service,
        "",
        "",
        secrets.token_hex(8),
        error_code="UnrecognizedClientException",
        message=message,
        headers=headers,
    )
    return response


def register_sagemaker(handle: Any) -> None:
    """Route SageMaker's requests, signed and evaluated like all others, to ``handle``.

    Args:
        handle: A handler as MiniStack has them: ``async (method, path, headers, body, query)`` returns a response.
    """
    from ministack import app
    from ministack.core import iam_actions, router

    app.SERVICE_HANDLERS[SERVICE] = handle
    router.SERVICE_PATTERNS[SERVICE] = {
        "target_prefixes": ["SageMaker."],
        "host_patterns": [r"sagemaker\.", r"runtime\.sagemaker\."],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    iam_actions._BOTOCORE_SERVICE_MAP[SERVICE] = ["sagemaker-runtime", "sagemaker"]
    original = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        if service != SERVICE:
            found: str = original(service, method, path, headers, body, query, region, account)
            return found
        return checks(headers.get("x-amz-target", ""), path, body, region, account)[0].resource

    iam_actions.extract_resource_arn = extract_resource_arn


def access_key_of(headers: Mapping[str, str]) -> str:
    """Return the access key id that signed a request."""
    from ministack.core import router

    key: str = router.extract_access_key_id(headers)
    return key

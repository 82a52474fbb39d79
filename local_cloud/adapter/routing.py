"""Requests: further services answer at the same endpoint, and the root's unsigned keys are refused."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local_cloud.permissions import Check
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


@dataclass(frozen=True)
class Service:
    """A service of ours beside MiniStack's own.

    Attributes:
        name: Its name in signatures, which is the prefix of its actions in IAM.
        target_prefix: What its X-Amz-Target headers start with.
        host_patterns: Regular expressions of its hosts on AWS.
        models: botocore's names of its APIs.
        checks: What a request needs permission for: (target, path, body, region, account), the operation itself first.
        handle: A handler as MiniStack has them: ``async (method, path, headers, body, query)`` returns a response.
    """

    name: str
    target_prefix: str
    host_patterns: tuple[str, ...]
    models: tuple[str, ...]
    checks: Callable[[str, str, bytes, str, str], list[Check]]
    handle: Any


def register(*services: Service) -> None:
    """Route the requests of ``services``, signed and evaluated like all others."""
    from ministack import app
    from ministack.core import iam_actions, router

    known = {service.name: service for service in services}
    for service in services:
        app.SERVICE_HANDLERS[service.name] = service.handle
        router.SERVICE_PATTERNS[service.name] = {
            "target_prefixes": [f"{service.target_prefix}."],
            "host_patterns": list(service.host_patterns),
        }
        iam_actions.SERVICE_TO_IAM_NAMESPACE[service.name] = service.name
        iam_actions._BOTOCORE_SERVICE_MAP[service.name] = list(service.models)
    resource_arn, tag_context = iam_actions.extract_resource_arn, iam_actions.request_tag_context

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        if service not in known:
            found: str = resource_arn(service, method, path, headers, body, query, region, account)
            return found
        return known[service].checks(headers.get("x-amz-target", ""), path, body, region, account)[0].resource

    def request_tag_context(service: str, iam_action: str, body: bytes, params: Any) -> dict[str, Any]:
        found: dict[str, Any] = tag_context(service, iam_action, body, params)
        if service not in known or not body:
            return found
        # Condition keys do not depend on where the resource stands.
        first = known[service].checks(iam_action.replace(":", "."), "", body, "", "")[0]
        return {**found, **first.context}

    iam_actions.extract_resource_arn = extract_resource_arn
    iam_actions.request_tag_context = request_tag_context


def access_key_of(headers: Mapping[str, str]) -> str:
    """Return the access key id that signed a request."""
    from ministack.core import router

    key: str = router.extract_access_key_id(headers)
    return key

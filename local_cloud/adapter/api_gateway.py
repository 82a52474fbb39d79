"""Deployed REST APIs: which is the newest, whose request is this, and the gateway's own errors."""

import functools
import json
import secrets
from typing import Any, Final

from local_cloud.adapter.routing import Response
from local_cloud.settings import ACCOUNT, REGION

# API Gateway's message for a request that is too large, for itself or for Lambda.
TOO_LONG: Final = "Request Too Long"
# Lambda's quota for the event of a synchronous invocation; a body that is binary comes in base64 in it.
MAX_LAMBDA_EVENT: Final = 6_291_556


class _EventTooLargeError(Exception):
    """Lambda would refuse the event that was made of a request."""


def install() -> None:
    """Have REST APIs refuse, as on AWS, what Lambda does not take as an event, and keys that were switched off."""
    from ministack.services import apigateway_v1

    call_lambda, execute = apigateway_v1._call_lambda_raw, apigateway_v1._execute_in_scope
    update_api_key = apigateway_v1._update_api_key

    @functools.wraps(call_lambda)
    async def call_lambda_raw(function: str, event: dict[str, Any], **scope: Any) -> Any:
        if len(json.dumps(event)) > MAX_LAMBDA_EVENT:
            raise _EventTooLargeError
        return await call_lambda(function, event, **scope)

    @functools.wraps(execute)
    async def execute_in_scope(*arguments: Any, **options: Any) -> Any:
        try:
            return await execute(*arguments, **options)
        except _EventTooLargeError:
            return apigateway_v1._GatewayError("REQUEST_TOO_LARGE", TOO_LONG)

    @functools.wraps(update_api_key)
    def updated_api_key(key_id: str, data: dict[str, Any]) -> Any:
        # A patch says what is new as text, and the text "false" would be true.
        for operation in data.get("patchOperations", []):
            if operation.get("path") == "/enabled":
                operation["value"] = str(operation.get("value")).lower() == "true"
        return update_api_key(key_id, data)

    apigateway_v1._update_api_key = updated_api_key
    apigateway_v1._call_lambda_raw = call_lambda_raw
    apigateway_v1._execute_in_scope = execute_in_scope


def newest_stage() -> tuple[str, str] | None:
    """Return (REST API id, stage) of the API deployed last; None where nothing is deployed."""
    from ministack.core import responses
    from ministack.services import apigateway_v1

    with responses.request_scope(ACCOUNT, REGION):
        deployed = [
            (stage.get("createdDate") or 0, api_id, name)
            for api_id in apigateway_v1._rest_apis
            for name, stage in apigateway_v1._stages_v1.get(api_id, {}).items()
        ]
    if not deployed:
        return None
    # Dates are whole seconds: of equal ones, the API that was made last counts.
    _, api_id, name = max(reversed(deployed), key=lambda stage: stage[0])
    return api_id, name


def api_request(host: str, path: str) -> tuple[str, str] | None:
    """Return (REST API id, stage) of a request to a deployed API, or None for any other request."""
    from ministack import app

    parsed = app._parse_execute_api_url(host, path)
    return (parsed[0], parsed[1]) if parsed else None


def gateway_response(api_id: str, stage_name: str, kind: str, message: str, headers: dict[str, str]) -> Response | None:
    """Return an error of API Gateway itself, shaped by the API's own gateway responses; None for an unknown stage."""
    from ministack.core import responses
    from ministack.services import apigateway_v1

    with responses.request_scope(ACCOUNT, REGION):
        stage = apigateway_v1._stages_v1.get(api_id, {}).get(stage_name)
        if stage is None:
            return None
        request = {
            "api_id": api_id,
            "stage_name": stage_name,
            "stage": stage,
            "headers": headers,
            "query_params": {},
            "path_params": {},
            "resource_path": "",
            "request_id": secrets.token_hex(16),
        }
        response: Response = apigateway_v1._gateway_error_response(apigateway_v1._GatewayError(kind, message), request)
        return response

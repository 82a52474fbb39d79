"""Deployed REST APIs: which is the newest, whose request is this, and the gateway's own errors."""

import secrets

from local_cloud.adapter.routing import Response
from local_cloud.settings import ACCOUNT, REGION


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
    _, api_id, name = max(deployed)
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

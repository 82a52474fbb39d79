"""Logs and metrics: which resources and condition keys they are checked with, and whose role writes them."""

import functools
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from local_cloud.adapter.identities import (
    SAGEMAKER_PRINCIPAL,
    AccessDeniedError,
    AssumeRoleError,
    assume_role,
    require_permission,
)
from local_cloud.settings import ACCOUNT, REGION

_logger = logging.getLogger(__name__)
# These name a group by its plain ARN; all others are checked below it.
_ON_GROUPS: Final = ("TagResource", "UntagResource", "ListTagsForResource")


class Stream(Protocol):
    """Where lines go."""

    def write(self, line: str) -> None:
        """Add one line."""

    def close(self) -> None:
        """Store what was written, and lose what comes later."""


class _NoStream:
    """Where the lines go of those who may not write logs."""

    def write(self, line: str) -> None:
        """Lose it, as on AWS."""

    def close(self) -> None:
        """Nothing is kept."""


def install() -> None:
    """Check log groups and metrics' namespaces as AWS does, and let a function's role decide on its log lines."""
    from ministack.core import iam_actions, lambda_runtime
    from ministack.services import lambda_svc

    resource_of, context_of = iam_actions.extract_resource_arn, iam_actions.request_tag_context
    tags_of = iam_actions.logs_service_context
    emit = lambda_svc._emit_lambda_logs

    @functools.wraps(resource_of)
    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        found: str = resource_of(service, method, path, headers, body, query, region, account)
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if service != "logs" or operation in _ON_GROUPS:
            return found
        return _below(f"arn:aws:logs:{region}:{account}:log-group:" if found == "*" else found, body)

    @functools.wraps(context_of)
    def request_tag_context(service: str, iam_action: str, body: bytes, params: Mapping[str, Any]) -> dict[str, Any]:
        context: dict[str, Any] = context_of(service, iam_action, body, params)
        if iam_action == "cloudwatch:PutMetricData":
            context["cloudwatch:namespace"] = _namespace(body, params)
        return context

    @functools.wraps(tags_of)
    def logs_service_context(action: str, body: bytes, resource_arn: str, *scope: Any) -> dict[str, Any]:
        found: dict[str, Any] = tags_of(action, body, resource_arn.partition(":log-stream:")[0], *scope)
        return found

    @functools.wraps(emit)
    def emit_lambda_logs(function: Mapping[str, Any], request_id: str, *arguments: Any, **options: Any) -> None:
        config = function.get("config") or function
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
        key = lambda_runtime.execution_credentials(config)["AWS_ACCESS_KEY_ID"]
        if _may_log(key, group, f"[{config.get('Version', '$LATEST')}]{request_id}"):
            emit(function, request_id, *arguments, **options)

    iam_actions.extract_resource_arn = extract_resource_arn
    iam_actions.request_tag_context = request_tag_context
    iam_actions.logs_service_context = logs_service_context
    lambda_svc._emit_lambda_logs = emit_lambda_logs


def container_stream(role_arn: str, group: str, name: str, open_stream: Callable[[str, str], Stream]) -> Stream:
    """Return the log stream of a job's or endpoint's container, which SageMaker writes with the role's permissions.

    Without them the container runs as well, and nobody sees its lines; the metrics that SageMaker reads off the
    instance are written, or not, in the same way.
    """
    try:
        key = assume_role(role_arn, SAGEMAKER_PRINCIPAL, "SageMaker")["AWS_ACCESS_KEY_ID"]
    except AssumeRoleError as error:
        _logger.warning("no logs of %s: %s", name, error)
        return _NoStream()
    namespace = "/".join(group.split("/")[:4])  # an endpoint's group is its namespace and its name
    _allowed(key, "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": namespace})
    if not _may_log(key, group, name, look=True):
        return _NoStream()
    return open_stream(group, name)


def _may_log(key: str, group: str, stream: str, *, look: bool = False) -> bool:
    """Whether a principal may write a log stream, its group made first where it is missing."""
    from ministack.core import responses
    from ministack.services import cloudwatch_logs

    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"
    with responses.request_scope(ACCOUNT, REGION):
        exists = group in cloudwatch_logs._log_groups
    needed = [] if exists else [("logs:CreateLogGroup", f"{arn}:log-stream:")]
    needed += [("logs:DescribeLogStreams", f"{arn}:log-stream:")] if look else []
    needed += [
        ("logs:CreateLogStream", f"{arn}:log-stream:{stream}"),
        ("logs:PutLogEvents", f"{arn}:log-stream:{stream}"),
    ]
    return all(_allowed(key, action, resource) for action, resource in needed)


def _allowed(key: str, action: str, resource: str, context: Mapping[str, str] | None = None) -> bool:
    try:
        require_permission(key, action, resource, context)
    except AccessDeniedError as error:
        _logger.warning("logs or metrics are lost: %s", error)
        return False
    return True


def _below(group_arn: str, body: bytes) -> str:
    """Return the ARN that CloudWatch Logs checks: below the group, even without a stream; hence policies' ``:*``."""
    try:
        request = json.loads(body or b"{}")
    except ValueError:  # left to the service to refuse
        request = {}
    return f"{group_arn}:log-stream:{request.get('logStreamName', '') if isinstance(request, dict) else ''}"


def _namespace(body: bytes, params: Mapping[str, Any]) -> str:
    """Return the namespace of a PutMetricData request, as JSON or as a form."""
    named = params.get("Namespace", "")
    if named:
        return str(named[0] if isinstance(named, list) else named)
    try:
        request = json.loads(body or b"{}")
    except ValueError:  # left to the service to refuse
        return ""
    return str(request.get("Namespace", "")) if isinstance(request, dict) else ""

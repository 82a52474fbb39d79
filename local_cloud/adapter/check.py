"""Is this the MiniStack that the adapter was written for?"""

import importlib
import importlib.metadata
from typing import Any, Final

from local_cloud.settings import LocalCloudError

EXPECTED_VERSION: Final = "1.5.33"
# Module below ``ministack`` -> the names used from it.
PRIVATE_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "app": ("app", "AUTH", "SERVICE_HANDLERS", "_build_persistence_save_dict", "_parse_execute_api_url"),
    "core.iam_actions": (
        "SERVICE_TO_IAM_NAMESPACE",
        "_BOTOCORE_SERVICE_MAP",
        "_query_param",
        "_s3_action",
        "_s3_source_object",
        "access_denied_response",
        "extract_resource_arn",
        "identity_denial_message",
        "logs_service_context",
        "request_tag_context",
        "s3_additional_checks",
    ),
    "core.iam_evaluator": (
        "AuthError",
        "EvalContext",
        "_anonymous",
        "_service_principal_matches",
        "enforce",
        "evaluate_trust_policy",
        "is_root_access_key",
    ),
    "core.lambda_runtime": ("execution_credentials", "reset"),
    "core.persistence": ("save_state",),
    "core.responses": ("request_scope",),
    "core.router": ("SERVICE_PATTERNS", "detect_service", "extract_access_key_id"),
    "services.apigateway_v1": (
        "_GatewayError",
        "_call_lambda_raw",
        "_execute_in_scope",
        "_gateway_error_response",
        "_rest_apis",
        "_stages_v1",
        "_update_api_key",
    ),
    "services.cloudwatch": (
        "_alarms",
        "_calc_stats",
        "_composite_alarms",
        "_dims_key",
        "_dispatch_alarm_actions",
        "_evaluate_alarm",
        "_evaluate_all_alarms",
        "_evaluate_parent_alarms",
        "_metrics",
        "_record_history",
        "_stat_value",
        "_store_datum",
    ),
    "services.cloudwatch_logs": ("_append_log_events", "_log_events_lock", "_log_groups", "_make_group_arn"),
    "services.cloudformation": ("_stacks",),
    "services.cloudformation.provisioners": ("_RESOURCE_HANDLERS",),
    "services.cloudformation.stacks": ("_delete_resource", "_with_dependencies"),
    "services.eventbridge": ("_invoke_target",),
    "services.iam": ("_access_keys", "_roles", "_users"),
    "services.kms": ("_resolve_key",),
    "services.lambda_svc": ("_emit_lambda_logs",),
    "services.s3": (
        "_buckets",
        "_delete_bucket_encryption",
        "_delete_bucket",
        "_multipart_uploads",
        "_object_record_from_version",
        "_object_versions",
        "_put_bucket_encryption",
        "_resolve_sse_write_headers",
    ),
    "services.sns": ("_topic_by_arn_any_scope", "_topics"),
    "services.stepfunctions": (
        "_ExecutionError",
        "_add_event",
        "_apply_state_assign",
        "_execute_task",
        "_invoke_resource",
        "_invoke_resource_with_timeout",
        "_state_machines",
    ),
    "services.sts": ("_sessions", "register_session"),
}


def check_ministack() -> None:
    """Make sure that this is the MiniStack that this module was written for.

    Raises:
        LocalCloudError: another version, or a private name is gone; the message names both sides.
    """
    version = importlib.metadata.version("ministack")
    if version != EXPECTED_VERSION:
        raise LocalCloudError(
            f"ministack {version} is installed, {EXPECTED_VERSION} is expected: its private seams are used, so exactly "
            f"that version works (pip install ministack=={EXPECTED_VERSION})"
        )
    for module_name, names in PRIVATE_NAMES.items():
        module = importlib.import_module(f"ministack.{module_name}")
        missing = [name for name in names if not hasattr(module, name)]
        if missing:
            raise LocalCloudError(
                f"ministack {version} has no {', '.join(missing)} in ministack.{module_name}: the installation is not "
                f"the release that local_cloud/adapter.py expects (pip install --force-reinstall ministack=={version})"
            )


def application() -> Any:
    """Return MiniStack's ASGI application."""
    from ministack import app

    if not app.AUTH:
        raise LocalCloudError("MiniStack was imported before its environment was prepared")
    return app.app

"""Topics with a key of their own, and rules that reach a target under a role of theirs."""

import functools
import logging
from collections.abc import Mapping
from typing import Any, Final

from local_cloud.adapter.identities import AccessDeniedError, AssumeRoleError, assume_role, require_permission

_logger = logging.getLogger(__name__)
_EVENTS_PRINCIPAL: Final = "events.amazonaws.com"
_KEY: Final = "KmsMasterKeyId"
_TOPIC: Final = "AWS::SNS::Topic"
# What EventBridge does to a target, by the service in the target's ARN.
_DELIVERIES: Final = {
    "events": "events:PutEvents",
    "lambda": "lambda:InvokeFunction",
    "sns": "sns:Publish",
    "sqs": "sqs:SendMessage",
    "states": "states:StartExecution",
}


def install() -> None:
    """Keep the key that a template gives a topic, and deliver events only as far as a target's role allows."""
    from ministack.services import eventbridge, sns
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS[_TOPIC]
    create, invoke_target = handlers["create"], eventbridge._invoke_target

    @functools.wraps(create)
    def create_topic(logical_id: str, properties: Mapping[str, Any], stack_name: str) -> Any:
        created = create(logical_id, properties, stack_name)
        if properties.get(_KEY):
            sns._topics[created[0]]["attributes"][_KEY] = properties[_KEY]
        return created

    @functools.wraps(invoke_target)
    def invoke(target: Mapping[str, Any], *arguments: Any, **options: Any) -> Any:
        if target.get("RoleArn") and not _may_deliver(target["RoleArn"], target.get("Arn", "")):
            return None
        return invoke_target(target, *arguments, **options)

    handlers["create"] = create_topic
    eventbridge._invoke_target = invoke


def key_permissions(topic_arn: str) -> list[tuple[str, str]]:
    """Return what a publisher needs on the key of an encrypted topic (SNS developer guide, key management)."""
    from ministack.services import kms, sns

    topic = sns._topic_by_arn_any_scope(topic_arn)
    named = (topic or {}).get("attributes", {}).get(_KEY)
    if not named:
        return []
    key = kms._resolve_key(named)
    arn = str(key["Arn"] if key else named)
    return [("kms:GenerateDataKey", arn), ("kms:Decrypt", arn)]


def _may_deliver(role_arn: str, target_arn: str) -> bool:
    """Whether a target's role allows the delivery; EventBridge counts a refused one as a failed invocation."""
    action = _DELIVERIES.get(target_arn.split(":")[2] if target_arn.startswith("arn:") else "")
    if action is None:
        return True
    try:
        credentials = assume_role(role_arn, _EVENTS_PRINCIPAL, "EventBridge")
        require_permission(credentials["AWS_ACCESS_KEY_ID"], action, target_arn)
    except (AccessDeniedError, AssumeRoleError) as error:
        _logger.warning("an event was not delivered: %s", error)
        return False
    return True

"""The one gate through which MiniStack asks whether a request is allowed: recorded, and worded as AWS words it."""

import contextvars
import functools
import sys
from collections.abc import Callable
from typing import Any, Final

from local_cloud.adapter import objects, topics
from local_cloud.settings import LocalCloudError
from local_cloud.trail import Evaluation

Record = Callable[[Evaluation], None]

# (what MiniStack asked for, what was refused, its resource). It answers the refusal of a further permission, such as a
# copy's source or a key, with the resource of the first one.
_refused: contextvars.ContextVar[tuple[str, str, str]] = contextvars.ContextVar("refused", default=("", "", ""))
_MARK: Final = "records_permissions"


def install(record: Record) -> None:
    """Tell ``record`` of every permission that a role's session asks for, and refuse in AWS's words."""
    from ministack.core import iam_actions, iam_evaluator

    plain = iam_evaluator.enforce

    @functools.wraps(plain)
    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        if service == "s3" and iam_action.startswith("kms:"):
            return evaluate(access_key_id, iam_action, "kms", region, resource_arn, objects.key_context(region))
        denied = evaluate(access_key_id, iam_action, service, region, resource_arn, service_context)
        if denied is None and iam_action == "sns:Publish":
            through = {"kms:ViaService": f"sns.{region}.amazonaws.com"}
            for action, key in topics.key_permissions(resource_arn):
                denied = denied or evaluate(access_key_id, action, "kms", region, key, through, asked=iam_action)
        return denied

    def evaluate(
        access_key_id: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str,
        service_context: dict[str, Any] | None,
        asked: str = "",
    ) -> Any:
        denied = plain(access_key_id, action, service, region, resource_arn, service_context)
        if isinstance(denied, iam_evaluator.AuthError):
            return denied
        if denied is not None:
            _refused.set((asked or action, action, resource_arn))
        session = _role_session(access_key_id)
        if session is not None:
            context = {key.lower(): value for key, value in (service_context or {}).items()}
            record(Evaluation(*session, action, resource_arn, denied is None, context))
        return denied

    setattr(enforce, _MARK, True)
    iam_evaluator.enforce = enforce
    iam_actions.access_denied_response = _worded(iam_actions)


def check_recorded() -> None:
    """Make sure that no part of MiniStack asks past the recorder.

    Raises:
        LocalCloudError: the message names the modules that hold the evaluator itself.
    """
    from ministack.core import iam_evaluator

    gate = iam_evaluator.enforce
    plain = getattr(gate, "__wrapped__", None)
    past = [
        name
        for name, module in list(sys.modules.items())
        if name.startswith("ministack.") and plain is not None and getattr(module, "enforce", None) is plain
    ]
    if not getattr(gate, _MARK, False) or past:
        raise LocalCloudError(
            f"permissions would be evaluated without being recorded, by {', '.join(past) or 'everything'}: "
            "local_cloud/adapter/evaluation.py must be installed before MiniStack's services are imported"
        )


def _role_session(access_key_id: str) -> tuple[str, str] | None:
    """Return (role ARN, session name) behind an access key; None for people's keys."""
    from ministack.services import sts

    principal = str((sts._sessions.get(access_key_id) or {}).get("Arn", ""))
    account, _, resource = principal.removeprefix("arn:aws:sts::").partition(":")
    if not resource.startswith("assumed-role/"):
        return None
    role, _, session = resource.removeprefix("assumed-role/").partition("/")
    return f"arn:aws:iam::{account}:role/{role}", session


def _worded(iam_actions: Any) -> Callable[..., Any]:
    """Return MiniStack's maker of refusals, which leaves the resource out for most services, with AWS's sentence."""
    plain: Callable[..., Any] = iam_actions.access_denied_response

    @functools.wraps(plain)
    def access_denied_response(service: str, action: str, principal_arn: str, request_id: str, **details: Any) -> Any:
        asked, refused, resource = _refused.get()
        if asked == action and not details.get("error_code"):
            action, details["resource_arn"] = refused, resource
            unsaid = not details.get("message") and not details.get("resource_policy_arn")
            if unsaid and resource != "*":
                # S3 quotes its own resources, and only those.
                named = f'"{resource}"' if action.startswith("s3:") else resource
                details["message"] = iam_actions.identity_denial_message(
                    action, principal_arn, named, details.get("explicit_deny", False)
                )
        return plain(service, action, principal_arn, request_id, **details)

    return access_denied_response

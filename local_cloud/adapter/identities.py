"""Who acts: the developer's access key, sessions of roles, and what they are allowed."""

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

from local_cloud.settings import ACCOUNT, REGION

# The principals as which services assume roles.
SAGEMAKER_PRINCIPAL: Final = "sagemaker.amazonaws.com"
STATES_PRINCIPAL: Final = "states.amazonaws.com"
DEVELOPER: Final = "developer"
_ADMINISTRATOR: Final = "arn:aws:iam::aws:policy/AdministratorAccess"
# SageMaker renews a job's credentials while it runs; a process on a laptop gets its once, so they outlive any job.
_SESSION_SECONDS: Final = 7 * 24 * 3600


class AssumeRoleError(Exception):
    """A service may not act under a role: it does not exist, or its trust policy names another."""


class AccessDeniedError(Exception):
    """A principal lacks a permission; the text is AWS's own wording."""


def ensure_developer(access_key_id: str, secret_access_key: str) -> None:
    """Give the person at the keyboard an administrator's access key.

    A user rather than MiniStack's root: root keys are accepted there without a look at the signature.
    """
    from ministack.core import responses
    from ministack.services import iam

    with responses.request_scope(ACCOUNT, REGION):
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if DEVELOPER not in iam._users:
            iam._users[DEVELOPER] = {
                "UserName": DEVELOPER,
                "Arn": f"arn:aws:iam::{ACCOUNT}:user/{DEVELOPER}",
                "UserId": "AIDA" + secrets.token_hex(8).upper(),
                "CreateDate": created,
                "Path": "/",
                "PermissionsBoundary": "",
                "AttachedPolicies": [_ADMINISTRATOR],
                "Tags": [],
            }
        iam._access_keys[access_key_id] = {
            "UserName": DEVELOPER,
            "AccessKeyId": access_key_id,
            "SecretAccessKey": secret_access_key,
            "Status": "Active",
            "CreateDate": created,
        }


def assume_role(role_arn: str, principal: str, session_name: str) -> dict[str, str]:
    """Return the AWS_* variables of a session of a role, for a service that its trust policy names.

    MiniStack's STS knows callers only, no service principals; so the trust policy is judged here, by MiniStack's own
    evaluator, and the session is registered as MiniStack registers those of Lambda functions.

    Raises:
        AssumeRoleError: the role is unknown or does not trust the service.
    """
    from ministack.services import sts

    role = require_trust(role_arn, principal)
    account, session_name = role_arn.split(":")[4], session_name[:64]
    key_id, secret, token = "ASIA" + secrets.token_hex(8).upper(), secrets.token_hex(20), secrets.token_hex(64)
    sts.register_session(
        key_id,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{session_name}",
            "UserId": f"{role['RoleId']}:{session_name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": time.time() + _SESSION_SECONDS,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        },
    )
    return {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def require_trust(role_arn: str, principal: str) -> Mapping[str, Any]:
    """Return MiniStack's record of a role that lets a service assume it.

    Raises:
        AssumeRoleError: the role is unknown or does not trust the service.
    """
    from ministack.core import responses
    from ministack.services import iam

    with responses.request_scope(ACCOUNT, REGION):
        role: Mapping[str, Any] | None = iam._roles.get(role_arn.rsplit("/", 1)[-1])
    if role is None or role["Arn"] != role_arn or not _trusts(role["AssumeRolePolicyDocument"], principal, role_arn):
        raise AssumeRoleError(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            f"'{principal}' to assume the role."
        )
    return role


def _trusts(document: str | Mapping[str, Any], principal: str, role_arn: str) -> bool:
    """Whether a trust policy lets a service assume the role.

    MiniStack's evaluator lets any ``Service`` entry match any root caller. Only the statements that name this service
    are handed to it, as statements for everyone, which leaves effect, action and conditions to its judgement.
    """
    from ministack.core import iam_evaluator

    parsed: Mapping[str, Any] = json.loads(document) if isinstance(document, str) else document
    statements = parsed.get("Statement", [])
    statements = [statements] if isinstance(statements, dict) else statements
    named = [
        {**statement, "Principal": "*"}
        for statement in statements
        if iam_evaluator._service_principal_matches(statement.get("Principal"), principal)
    ]
    context = iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="Service",
        principal_account=ACCOUNT,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=REGION,
        service_context={"aws:sourceaccount": ACCOUNT},
    )
    return bool(iam_evaluator.evaluate_trust_policy({"Statement": named}, principal, context))


def require_permission(
    access_key_id: str, action: str, resource_arn: str, context: Mapping[str, Any] | None = None
) -> None:
    """Evaluate one permission of the principal behind an access key, in the current request's account and region.

    Raises:
        AccessDeniedError: no policy allows it, or one denies it.
    """
    from ministack.core import iam_actions, iam_evaluator

    # The request that led here may be anonymous, as one to the API is; the principal that is judged never is.
    token = iam_evaluator._anonymous.set(False)
    try:
        denied = iam_evaluator.enforce(
            access_key_id, action, action.partition(":")[0], REGION, resource_arn=resource_arn, service_context=context
        )
    finally:
        iam_evaluator._anonymous.reset(token)
    if denied is None:
        return
    if isinstance(denied, iam_evaluator.AuthError):
        raise AccessDeniedError(denied.message)
    raise AccessDeniedError(
        iam_actions.identity_denial_message(action, denied.principal_arn, resource_arn, denied.decision == "Deny")
    )

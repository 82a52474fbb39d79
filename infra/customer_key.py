"""The stage's own KMS key."""

from typing import Final

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

# The shortest that KMS allows: so long a key that was deleted by mistake can be rescued.
_PENDING_DAYS: Final = 7
# All that changes the key; none of it reads or writes what is encrypted with it.
_ADMINISTRATION: Final = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
# What the account's roles may be allowed by their own policies; the volumes of instances want the second data key.
_USE: Final = ("kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext")
# Services that send notices to the stage's topic.
_SENDERS: Final = (("Alarms", "cloudwatch.amazonaws.com"), ("Events", "events.amazonaws.com"))
_SEND: Final = ("kms:Decrypt", "kms:GenerateDataKey")


class CustomerKey(Construct):
    """A key that rotates yearly; its policy lets this account's own policies say who uses it, and nobody else."""

    def __init__(self, scope: Construct, construct_id: str, *, name: str, removal: RemovalPolicy) -> None:
        super().__init__(scope, construct_id)
        self.key = kms.Key(
            self,
            "Key",
            alias=f"alias/{name}",
            description=f"Encrypts what {name} stores and sends",
            enable_key_rotation=True,
            pending_window=Duration.days(_PENDING_DAYS),
            policy=iam.PolicyDocument(statements=self._policy()),
            removal_policy=removal,
        )

    def _policy(self) -> list[iam.PolicyStatement]:
        account = iam.ArnPrincipal(f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:root")
        return [
            _key_statement("Administration", account, _ADMINISTRATION),
            _key_statement("Use", account, _USE),
            # SageMaker hands the key on to the volumes of its instances: as a grant, which only AWS's own can use.
            _key_statement("Volumes", account, ("kms:CreateGrant",), {"Bool": {"kms:GrantIsForAWSResource": "true"}}),
            # What they send to an encrypted topic reaches KMS without a source account that a condition could ask for.
            *(_key_statement(f"From{name}", iam.ServicePrincipal(service), _SEND) for name, service in _SENDERS),
        ]


def _key_statement(
    sid: str, principal: iam.IPrincipal, actions: tuple[str, ...], conditions: dict[str, object] | None = None
) -> iam.PolicyStatement:
    # In the policy of a key, the resource is that key.
    return iam.PolicyStatement(
        sid=sid, principals=[principal], actions=list(actions), resources=["*"], conditions=conditions or {}
    )

"""One SNS topic per stage, and who may publish to it."""

from typing import Any

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.policies import allow, from_this_account


class Notices(Construct):
    """The topic that alarms, ended executions and the reaper publish to; it takes TLS connections only.

    With a customer key, messages are encrypted at rest. Without one they are not: the only other choice is AWS's own
    key for SNS, whose policy lets no CloudWatch alarm publish. They say what happened and name resources, never photos.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, prefix: str, email: str | None, key: kms.IKey | None
    ) -> None:
        super().__init__(scope, construct_id)
        self._key = key
        self.topic = sns.Topic(
            self,
            "Topic",
            topic_name=f"{prefix}-notices",
            display_name=f"Notices of {prefix}",
            master_key=key,
            enforce_ssl=True,
        )
        self.topic.apply_removal_policy(RemovalPolicy.DESTROY)
        self.topic.add_to_resource_policy(self._alarms_may_publish(prefix))
        if email is not None:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))

    def publish_statements(self, sid: str = "Notice") -> list[iam.PolicyStatement]:
        """Return what a role of this account needs to publish."""
        statements = [allow(["sns:Publish"], [self.topic.topic_arn], sid=sid)]
        if self._key is not None:
            statements.append(allow(["kms:Decrypt", "kms:GenerateDataKey"], [self._key.key_arn], sid=f"{sid}Key"))
        return statements

    def _alarms_may_publish(self, prefix: str) -> iam.PolicyStatement:
        own_alarms = Stack.of(self).format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=f"{prefix}-*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        conditions: dict[str, Any] = {**from_this_account(self), "ArnLike": {"aws:SourceArn": own_alarms}}
        return iam.PolicyStatement(
            sid="Alarms",
            principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[self.topic.topic_arn],
            conditions=conditions,
        )

"""Who called the API, with what outcome; never what they sent, and never a key."""

import json
from typing import Final

from aws_cdk import RemovalPolicy
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.settings import Api

# The usage plan holds each key to its limits. What a method answers to all callers together, strangers where it wants
# no key, has room for so many keys at theirs: were it for one, whoever uses up a key would lock out all others.
_KEYS: Final = 10
# What API Gateway gives to all APIs of an account and region, unless AWS raised it.
_MOST_PER_SECOND: Final = 10_000
_MOST_AT_ONCE: Final = 5_000
_FIELDS: Final = {
    "request_id": "$context.requestId",
    "trace_id": "$context.xrayTraceId",
    "time": "$context.requestTime",
    "source_ip": "$context.identity.sourceIp",
    "api_key_id": "$context.identity.apiKeyId",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "response_bytes": "$context.responseLength",
    "milliseconds": "$context.responseLatency",
    "function_milliseconds": "$context.integration.latency",
    "error": "$context.error.responseType",
}


class ApiLogs(Construct):
    """The log groups of an API, and the role by which API Gateway writes to them."""

    def __init__(self, scope: Construct, construct_id: str, *, name: str) -> None:
        super().__init__(scope, construct_id)
        self.access_name = f"/aws/apigateway/{name}"
        self._access = logs.LogGroup(
            self, "Access", log_group_name=self.access_name, removal_policy=RemovalPolicy.DESTROY
        )

    def stage_options(self, stage_name: str, limits: Api) -> apigateway.StageOptions:
        """Return how a stage is throttled, logged, measured and traced."""
        return apigateway.StageOptions(
            stage_name=stage_name,
            throttling_rate_limit=min(_KEYS * limits.requests_per_second, _MOST_PER_SECOND),
            throttling_burst_limit=min(_KEYS * limits.burst, _MOST_AT_ONCE),
            access_log_destination=apigateway.LogGroupLogDestination(self._access),
            access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_FIELDS)),
            # Errors only: an informative log holds a line for each step of each request.
            logging_level=apigateway.MethodLoggingLevel.ERROR,
            data_trace_enabled=False,
            metrics_enabled=True,
            tracing_enabled=True,
        )

    def attach(self, api: apigateway.RestApi, stage_name: str, *, set_account_role: bool) -> None:
        """Make what the deployed stage writes to before it writes.

        API Gateway makes the group of the execution log by itself where it does not exist, and keeps it for ever.
        """
        execution = logs.LogGroup(
            self,
            "Execution",
            log_group_name=f"API-Gateway-Execution-Logs_{api.rest_api_id}/{stage_name}",
            removal_policy=RemovalPolicy.DESTROY,
        )
        stage = api.deployment_stage
        stage.node.add_dependency(execution)
        if set_account_role:
            stage.node.add_dependency(self._account_role())

    def _account_role(self) -> apigateway.CfnAccount:
        """Return the setting without which no REST API of this account and region may log.

        It is the account's, not ours: other APIs may have come to rely on it, so it stays when the stack goes. The
        policy is AWS's own for this purpose, since API Gateway refuses a role that may not do all of it.
        """
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
            description="Lets API Gateway write the logs of all REST APIs of this account and region",
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name("service-role/AmazonAPIGatewayPushToCloudWatchLogs")
            ],
        )
        account = apigateway.CfnAccount(self, "Account", cloud_watch_role_arn=role.role_arn)
        for kept in (role, account):
            kept.apply_removal_policy(RemovalPolicy.RETAIN)
        return account

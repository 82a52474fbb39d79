"""The state machine, deployed."""

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.state_machine.definition import definition
from infra.state_machine.facts import Facts
from infra.state_machine.role import state_machine_role


class Pipeline(Construct):
    """From a source of photos to an endpoint that has passed its smoke test."""

    def __init__(self, scope: Construct, construct_id: str, *, facts: Facts, bucket_arn: str) -> None:
        super().__init__(scope, construct_id)
        role = state_machine_role(self, "Role", facts=facts, bucket_arn=bucket_arn)
        # Below /aws/vendedlogs/: each other log group that a service delivers to lengthens one policy of the account,
        # which has a limit.
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/vendedlogs/states/{facts.settings.prefix}",
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            # Its role may ask about its executions, and is made before it.
            state_machine_name=facts.settings.prefix,
            comment="prepare, extract features, tune, train, register, gate, deploy, smoke test",
            definition_body=sfn.DefinitionBody.from_string(Stack.of(self).to_json_string(definition(facts))),
            role=role.without_policy_updates(),
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=True),
            tracing_enabled=True,
        )

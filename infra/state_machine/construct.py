"""The state machine, deployed."""

from aws_cdk import Stack
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
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            comment="prepare, extract features, tune, train, gate, deploy, smoke test",
            definition_body=sfn.DefinitionBody.from_string(Stack.of(self).to_json_string(definition(facts))),
            role=role.without_policy_updates(),
        )

"""The reaper's function, its schedule, and what it may do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.policies import allow, arn, remove_scaling
from infra.python_function import PythonFunction
from infra.settings import Reaper as Patience
from infra.watch.notices import Notices

_HERE: Final = Path(__file__).parent
_MODULES: Final = [
    _HERE.parent / "__init__.py",
    *(_HERE / name for name in ("__init__.py", "decision.py", "memory.py")),
]
# How much longer than asked for an idle endpoint may live.
_RATE: Final = Duration.minutes(15)


class Reaper(Construct):
    """Looks at the stage's endpoint every quarter of an hour; without ``idle_hours`` there is nothing at all."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        patience: Patience,
        endpoint_name: str,
        state_machine_arn: str,
        notices: Notices,
    ) -> None:
        super().__init__(scope, construct_id)
        self.function: lambda_.IFunction | None = None
        if patience.idle_hours is None:
            return
        function = PythonFunction(
            self,
            "Reap",
            handler=_HERE / "handler.py",
            modules=_MODULES,
            environment={
                "ENDPOINT_NAME": endpoint_name,
                "STATE_MACHINE": state_machine_arn,
                "TOPIC": notices.topic.topic_arn,
                "IDLE_HOURS": str(patience.idle_hours),
                "NOTICE_HOURS": str(patience.notice_hours),
            },
            statements=[
                *_endpoint(arn(self, "sagemaker", "endpoint", endpoint_name)),
                allow(["states:ListExecutions"], [state_machine_arn], sid="Executions"),
                allow(["cloudwatch:GetMetricStatistics"], ["*"], sid="Invocations"),
                allow(["application-autoscaling:DescribeScalableTargets"], ["*"], sid="ListScaling"),
                remove_scaling(self),
                *notices.publish_statements(),
            ],
            timeout=Duration.minutes(2),
        )
        self.function = function.function
        # An attempt that failed is made up for by the next one.
        target = targets.LambdaFunction(function.function, retry_attempts=0)
        events.Rule(self, "Schedule", schedule=events.Schedule.rate(_RATE), targets=[target])


def _endpoint(endpoint_arn: str) -> Sequence[iam.PolicyStatement]:
    return [
        allow(["sagemaker:DescribeEndpoint"], [endpoint_arn], sid="Look"),
        allow(["sagemaker:ListTags"], [endpoint_arn], sid="Recall"),
        allow(["sagemaker:AddTags"], [endpoint_arn], sid="Remember"),
        allow(["sagemaker:DeleteEndpoint"], [endpoint_arn], sid="Delete"),
    ]

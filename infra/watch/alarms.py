"""The alarms of a stage; each tells the stage's topic when it starts and when it is over."""

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.names import VARIANT
from infra.settings import Rollout

_MINUTE: Final = Duration.minutes(1)
_FIVE_MINUTES: Final = Duration.minutes(5)
_MICROSECONDS: Final = 1000  # per millisecond; SageMaker measures latencies in microseconds
_ABOVE: Final = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD


def rollback_alarms(prefix: str) -> tuple[str, str]:
    """Return the names of the alarms that put an endpoint's old model back."""
    return f"{prefix}-endpoint-errors", f"{prefix}-endpoint-latency"


def endpoint_metric(endpoint: str, name: str, statistic: str, *, period: Duration = _MINUTE) -> cloudwatch.Metric:
    """Return what SageMaker measures of the requests to an endpoint's variant."""
    return cloudwatch.Metric(
        namespace="AWS/SageMaker",
        metric_name=name,
        dimensions_map={"EndpointName": endpoint, "VariantName": VARIANT},
        statistic=statistic,
        period=period,
    )


class Alarms(Construct):
    """Makes alarms with fixed names, ``<prefix>-<what>``: no data is no alarm, since nobody calls at night."""

    def __init__(self, scope: Construct, construct_id: str, *, prefix: str, topic: sns.ITopic) -> None:
        super().__init__(scope, construct_id)
        self._prefix = prefix
        self._action = actions.SnsAction(topic)
        self.names: list[str] = []

    def add(self, name: str, metric: cloudwatch.IMetric, *, threshold: float, description: str) -> None:
        """Add an alarm that starts when one period's value is above the threshold."""
        alarm_name = f"{self._prefix}-{name}"
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=alarm_name,
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=_ABOVE,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)
        self.names.append(alarm_name)

    def watch_endpoint(self, endpoint: str, limits: Rollout) -> None:
        """Add the two alarms that a rollout looks at: the share of failed requests, and the latency of the slowest."""
        # SageMaker sends a 1 for each request that the model answered with 5xx and a 0 for each other one, so that the
        # average is the share of failed requests: no division of two metrics is needed.
        self.add(
            "endpoint-errors",
            endpoint_metric(endpoint, "Invocation5XXErrors", "Average"),
            threshold=limits.maximum_error_percent / 100,
            description=f"More than {limits.maximum_error_percent} % of a minute's requests to the model failed",
        )
        self.add(
            "endpoint-latency",
            endpoint_metric(endpoint, "ModelLatency", "p99"),
            threshold=limits.maximum_latency_ms * _MICROSECONDS,
            description=f"One request in 100 took the model longer than {limits.maximum_latency_ms} ms",
        )

    def watch_api(self, api: apigateway.RestApi, limits: Rollout) -> None:
        """Add an alarm for the share of calls that the API answered with an error of ours."""
        self.add(
            "api-errors",
            api.metric_server_error(period=_FIVE_MINUTES, statistic="Average"),
            threshold=limits.maximum_error_percent / 100,
            description=f"More than {limits.maximum_error_percent} % of the calls of five minutes got a 5xx answer",
        )

    def watch_executions(self, state_machine: sfn.StateMachine) -> None:
        """Add an alarm for failed executions."""
        self.add(
            "executions-failed",
            state_machine.metric_failed(period=_FIVE_MINUTES),
            threshold=0,
            description="An execution failed; the notice that it ended says why",
        )

    def watch_function(self, name: str, function: lambda_.IFunction, *, throttles: bool = False) -> None:
        """Add an alarm for errors of a Lambda function, and one for refused calls where people wait for it."""
        self.add(
            f"{name}-errors",
            function.metric_errors(period=_FIVE_MINUTES),
            threshold=0,
            description=f"The Lambda function {name} failed; its log says why",
        )
        if throttles:
            self.add(
                f"{name}-throttles",
                function.metric_throttles(period=_FIVE_MINUTES),
                threshold=0,
                description=f"Lambda refused calls of {name}: the account's limit of concurrent executions is reached",
            )

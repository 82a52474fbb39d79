"""The stage's dashboard, from an execution to the last call of the API: rows of 24 columns."""

import json
from collections.abc import Sequence
from typing import Final

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.metrics import TRAIN_ACCURACY, TRAIN_LOSS, VALID_ACCURACY, VALID_LOSS, Metric
from contract.names import PROJECT, VARIANT
from infra.bundles import ROOT
from infra.settings import Settings
from infra.watch.alarms import endpoint_metric

Widgets = list[cloudwatch.IWidget]

_COLUMNS: Final = 24
_HEIGHT: Final = 6
_MINUTE: Final = Duration.minutes(1)
_FIVE_MINUTES: Final = Duration.minutes(5)
_JOBS: Final = "/aws/sagemaker/TrainingJobs"
_ENDPOINTS: Final = "/aws/sagemaker/Endpoints"
_PERCENT: Final = cloudwatch.YAxisProps(min=0, max=100, label="%", show_units=False)
_COUNT: Final = cloudwatch.YAxisProps(min=0, label="count", show_units=False)
_SHARE: Final = cloudwatch.YAxisProps(min=0, max=1, show_units=False)
_PRICES: Final = ROOT / "prices.json"


class Dashboard(Construct):
    """What a stage does, at a glance; named as the stage's resources are."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        state_machine: sfn.IStateMachine,
        handler: lambda_.IFunction,
        access_log: str,
        alarm_names: Sequence[str],
    ) -> None:
        super().__init__(scope, construct_id)
        # By their names: they stand in other stacks, too.
        alarms = [cloudwatch.Alarm.from_alarm_name(self, name, name) for name in alarm_names]
        rows = [
            self._title(settings),
            *_executions(state_machine, alarms),
            *_jobs(settings.stage),
            *_endpoint(settings),
            *_api(settings.prefix, handler, access_log),
        ]
        dashboard = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=settings.prefix, default_interval=Duration.hours(12)
        )
        for row in rows:
            dashboard.add_widgets(*row)

    def _title(self, settings: Settings) -> Widgets:
        region = Stack.of(self).region
        console = f"https://{region}.console.aws.amazon.com"
        links = {
            "executions": f"states/home?region={region}#/statemachines",
            "training jobs": f"sagemaker/home?region={region}#/jobs",
            "endpoint": f"sagemaker/home?region={region}#/endpoints/{settings.prefix}",
            "traces": f"cloudwatch/home?region={region}#xray:traces",
        }
        line = " · ".join(f"[{word}]({console}/{path})" for word, path in links.items())
        return [_text(f"# Pedigree, stage {settings.stage}\n{line}", height=2)]


def _executions(state_machine: sfn.IStateMachine, alarms: Sequence[cloudwatch.IAlarm]) -> list[Widgets]:
    period = Duration.hours(1)
    counts: list[cloudwatch.IMetric] = [
        state_machine.metric_started(label="started", period=period),
        state_machine.metric_succeeded(label="succeeded", period=period, color=cloudwatch.Color.GREEN),
        state_machine.metric_failed(label="failed", period=period, color=cloudwatch.Color.RED),
        state_machine.metric_aborted(label="aborted", period=period, color=cloudwatch.Color.GREY),
    ]
    duration = state_machine.metric_time(statistic="Maximum", label="longest (ms)", period=period)
    return [
        [
            _graph("Executions per hour", counts, axis=_COUNT, view=cloudwatch.GraphWidgetView.BAR),
            _graph("How long executions took", [duration]),
            cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=_COLUMNS // 3, height=_HEIGHT),
        ]
    ]


def _jobs(stage: str) -> list[Widgets]:
    def curve(metric: Metric, words: str) -> cloudwatch.IMetric:
        return _search("TrainingJobName", metric.name, f"{PROJECT} {stage} {words}")

    # A trial's name is the tuning job's with a number; only the final training has the word train in its name.
    trials, training = "NOT train", "train"
    return [
        [_text("## Trials and training", height=1)],
        [
            _graph("Trials: accuracy on the validation set", [curve(VALID_ACCURACY, trials)], axis=_SHARE),
            _graph(
                "Training: accuracy",
                [curve(metric, training) for metric in (TRAIN_ACCURACY, VALID_ACCURACY)],
                axis=_SHARE,
            ),
            _graph("Training: loss", [curve(metric, training) for metric in (TRAIN_LOSS, VALID_LOSS)]),
        ],
        [
            # In percent of one core: more than 100 is normal.
            _graph(f"Jobs: {name} (%)", [_search("Host", metric, f"{PROJECT} {stage}")])
            for name, metric in (("CPU", "CPUUtilization"), ("memory", "MemoryUtilization"), ("GPU", "GPUUtilization"))
        ],
    ]


def _endpoint(settings: Settings) -> list[Widgets]:
    name, limits = settings.prefix, settings.endpoint.rollout
    invocations = endpoint_metric(name, "Invocations", "Sum")
    errors = endpoint_metric(name, "Invocation5XXErrors", "Sum")
    failed = cloudwatch.MathExpression(
        expression="IF(calls > 0, 100 * errors / calls, 0)",
        using_metrics={"calls": invocations, "errors": errors},
        label="failed",
        period=_MINUTE,
    )
    latency = [
        _milliseconds(endpoint_metric(name, metric, statistic), f"{word} {statistic}")
        for metric, statistic, word in (
            ("ModelLatency", "p50", "model"),
            ("ModelLatency", "p99", "model"),
            ("OverheadLatency", "p99", "overhead"),
        )
    ]
    counts = [invocations, endpoint_metric(name, "Invocation4XXErrors", "Sum"), errors]
    return [
        [_text("## Endpoint", height=1)],
        [
            _graph("Calls per minute", counts, axis=_COUNT),
            _graph("Failed calls", [failed], axis=_PERCENT, limit=limits.maximum_error_percent),
            _graph("Latency (ms)", latency, limit=limits.maximum_latency_ms),
        ],
        [
            _graph("CPU and memory (%)", _utilization(name, "CPUUtilization", "MemoryUtilization")),
            _graph("GPU and its memory (%)", _utilization(name, "GPUUtilization", "GPUMemoryUtilization"))
            if settings.endpoint.gpu
            else _graph("Disk (%)", _utilization(name, "DiskUtilization"), axis=_PERCENT),
            _cost(name, settings.endpoint.instance_type),
        ],
    ]


def _api(name: str, handler: lambda_.IFunction, access_log: str) -> list[Widgets]:
    def metric(metric_name: str, statistic: str, label: str) -> cloudwatch.IMetric:
        return cloudwatch.Metric(
            namespace="AWS/ApiGateway",
            metric_name=metric_name,
            dimensions_map={"ApiName": name},
            statistic=statistic,
            period=_FIVE_MINUTES,
            label=label,
        )

    calls = [metric("Count", "Sum", "calls"), metric("4XXError", "Sum", "4xx"), metric("5XXError", "Sum", "5xx")]
    latency = [metric("Latency", statistic, statistic) for statistic in ("p50", "p99")]
    function = [
        handler.metric_errors(label="errors", period=_FIVE_MINUTES),
        handler.metric_throttles(label="throttles", period=_FIVE_MINUTES),
    ]
    return [
        [_text("## API", height=1)],
        [
            _graph("Calls", calls, axis=_COUNT),
            _graph("Latency (ms)", latency),
            _graph("The function: errors and throttles", function, axis=_COUNT),
        ],
        [
            cloudwatch.LogQueryWidget(
                title="The last calls that failed on our side",
                log_group_names=[access_log],
                query_lines=[
                    "fields time, request_id, status, error, milliseconds",
                    "filter status >= 500",
                    "limit 20",
                ],
                width=_COLUMNS,
                height=_HEIGHT,
            )
        ],
    ]


def _cost(endpoint: str, instance_type: str) -> cloudwatch.IWidget:
    """Return what the endpoint costs an hour, by the instances that report in; each does so once a minute."""
    prices = json.loads(_PRICES.read_text(encoding="utf-8"))
    price = prices["instance_hours"].get(instance_type)
    if price is None:
        return _text(f"**Cost**\n\nprices.json does not name {instance_type}.", width=_COLUMNS // 3, height=_HEIGHT)
    samples = _endpoint_instances(endpoint, "CPUUtilization", statistic="SampleCount", period=_FIVE_MINUTES)
    cost = cloudwatch.MathExpression(
        expression=f"samples / 5 * {price['usd']}",
        using_metrics={"samples": samples},
        label=f"{prices['currency']} per hour ({prices['region']})",
        period=_FIVE_MINUTES,
    )
    return _graph(f"Cost of the endpoint's {instance_type}", [cost])


def _utilization(endpoint: str, *metrics: str) -> list[cloudwatch.IMetric]:
    return [_endpoint_instances(endpoint, metric, statistic="Average", period=_MINUTE) for metric in metrics]


def _endpoint_instances(endpoint: str, metric: str, *, statistic: str, period: Duration) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=_ENDPOINTS,
        metric_name=metric,
        dimensions_map={"EndpointName": endpoint, "VariantName": VARIANT},
        statistic=statistic,
        period=period,
    )


def _search(dimension: str, metric: str, words: str) -> cloudwatch.IMetric:
    """Return all metrics of a name whose dimension holds all these words: one line per job, also of jobs to come."""
    return cloudwatch.MathExpression(
        expression=f"SEARCH('{{{_JOBS},{dimension}}} MetricName=\"{metric}\" {words}', 'Average', 60)",
        using_metrics={},
        label=f"${{PROP('Dim.{dimension}')}} {metric}",
        period=_MINUTE,
    )


def _milliseconds(metric: cloudwatch.Metric, label: str) -> cloudwatch.IMetric:
    microseconds = label.replace(" ", "_")
    return cloudwatch.MathExpression(
        expression=f"{microseconds} / 1000", using_metrics={microseconds: metric}, label=label, period=_MINUTE
    )


def _graph(
    title: str,
    metrics: Sequence[cloudwatch.IMetric],
    *,
    axis: cloudwatch.YAxisProps | None = None,
    limit: float | None = None,
    view: cloudwatch.GraphWidgetView = cloudwatch.GraphWidgetView.TIME_SERIES,
) -> cloudwatch.IWidget:
    alarm = cloudwatch.HorizontalAnnotation(value=limit or 0, label="alarm", color=cloudwatch.Color.RED)
    return cloudwatch.GraphWidget(
        title=title,
        left=list(metrics),
        left_y_axis=axis or cloudwatch.YAxisProps(min=0, show_units=False),
        left_annotations=[] if limit is None else [alarm],
        view=view,
        width=_COLUMNS // 3,
        height=_HEIGHT,
    )


def _text(markdown: str, *, height: int, width: int = _COLUMNS) -> cloudwatch.IWidget:
    return cloudwatch.TextWidget(markdown=markdown, width=width, height=height)

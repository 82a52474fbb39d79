"""What services need to send traces and logs on behalf of a role."""

from collections.abc import Sequence
from typing import Final

from aws_cdk import aws_iam as iam

from infra.policies import allow

_TRACES: Final = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
# What the Step Functions developer guide ("Logging using CloudWatch Logs") asks for: the service sets up a delivery of
# its own to the log group, and checks it with the state machine's role.
_LOG_DELIVERY: Final = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)


def trace_statement() -> iam.PolicyStatement:
    """Return what a traced function or state machine needs."""
    return _on_everything(_TRACES, sid="Tracing")


def log_delivery_statement() -> iam.PolicyStatement:
    """Return what a state machine needs that logs to CloudWatch."""
    return _on_everything(_LOG_DELIVERY, sid="LogDelivery")


def _on_everything(actions: Sequence[str], *, sid: str) -> iam.PolicyStatement:
    return allow(actions, ["*"], sid=sid)  # see ON_EVERYTHING

"""What services need to send traces and logs on behalf of a role."""

from collections.abc import Sequence
from typing import Final

from aws_cdk import aws_iam as iam

from infra.policies import LOG_DELIVERY, allow

_TRACES: Final = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")


def trace_statement() -> iam.PolicyStatement:
    """Return what a traced function or state machine needs."""
    return _on_everything(_TRACES, sid="Tracing")


def log_delivery_statement() -> iam.PolicyStatement:
    """Return what a state machine needs that logs to CloudWatch."""
    return _on_everything(LOG_DELIVERY, sid="LogDelivery")


def _on_everything(actions: Sequence[str], *, sid: str) -> iam.PolicyStatement:
    return allow(actions, ["*"], sid=sid)  # see ON_EVERYTHING

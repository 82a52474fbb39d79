"""How long logs are kept: as the settings say, in every log group of a stage."""

from aws_cdk import aws_logs as logs
from constructs import IConstruct


def keep_logs(scope: IConstruct, days: int) -> None:
    """Set the retention of every log group below a construct, also of those that a construct of CDK's made."""
    for child in scope.node.find_all():
        if isinstance(child, logs.CfnLogGroup):
            child.retention_in_days = days

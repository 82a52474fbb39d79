"""The roles that SageMaker assumes: one for the jobs, one for the endpoint."""

from collections.abc import Sequence
from typing import Final

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from contract.names import Prefix
from infra.image.construct import Images
from infra.policies import allow, arn, from_this_account, read_write, role
from infra.settings import Settings

_SERVICE: Final = "sagemaker.amazonaws.com"
_JOBS_READ: Final = (
    Prefix.DATASETS,
    Prefix.PREPARED,
    Prefix.FEATURES,
    Prefix.TUNING,
    Prefix.CHECKPOINTS,
)
_JOBS_WRITE: Final = (Prefix.PREPARED, Prefix.FEATURES, Prefix.TUNING, Prefix.MODELS, Prefix.CHECKPOINTS)


class SageMakerRoles(Construct):
    """What the jobs and the endpoint may do; neither may do the other's work."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        bucket: s3.IBucket,
        images: Images,
        source_bundle_arn: str,
    ) -> None:
        super().__init__(scope, construct_id)
        read = [f"{prefix}/*" for prefix in (*_JOBS_READ, settings.weights_prefix)]
        write = [f"{prefix}/*" for prefix in _JOBS_WRITE]
        self.job = role(
            self,
            "Job",
            service=_SERVICE,
            description="Pedigree's prepare, feature, tuning and training jobs",
            conditions=from_this_account(self),
            statements=[
                *read_write(bucket.bucket_arn, read=read, write=write, sid="Bucket"),
                allow(["s3:GetObject"], [source_bundle_arn], sid="SourceBundle"),
                *_other_sources(settings.source_buckets),
                *images.pull_statements(),
                *_telemetry(self, namespace="/aws/sagemaker/TrainingJobs"),
            ],
        )
        self.endpoint = role(
            self,
            "Endpoint",
            service=_SERVICE,
            description="Pedigree's endpoint",
            conditions=from_this_account(self),
            statements=[
                *read_write(bucket.bucket_arn, read=[f"{Prefix.MODELS}/*"], sid="Bucket"),
                *images.pull_statements(),
                *_telemetry(self, namespace="/aws/sagemaker/Endpoints", own_group=f"/{settings.prefix}"),
            ],
        )


def _other_sources(buckets: Sequence[str]) -> list[iam.PolicyStatement]:
    if not buckets:
        return []
    arns = [f"arn:{Aws.PARTITION}:s3:::{bucket}" for bucket in buckets]
    return [
        allow(["s3:ListBucket"], arns, sid="SourcesList"),
        allow(["s3:GetObject"], [f"{each}/*" for each in arns], sid="SourcesRead"),
    ]


def _telemetry(scope: Construct, *, namespace: str, own_group: str = "") -> list[iam.PolicyStatement]:
    """Return what allows writing logs and metrics where SageMaker writes them.

    Training jobs share one log group, called as the metrics' namespace; each endpoint has a group of its own below.
    """
    log_group = arn(scope, "logs", "log-group", f"{namespace}{own_group}", separator=":")
    return [
        allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [log_group, f"{log_group}:*"],
            sid="Logs",
        ),
        allow(
            ["cloudwatch:PutMetricData"],
            ["*"],  # has no resource-level permission; the namespace limits it
            sid="Metrics",
            conditions={"StringLike": {"cloudwatch:namespace": f"{namespace}*"}},
        ),
    ]

"""The roles that SageMaker assumes: one for the jobs, one for the endpoint."""

from collections.abc import Sequence
from typing import Final

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from contract.names import Prefix
from infra.debugger_image import DebuggerImage
from infra.image.construct import PULL, Images
from infra.instance_types import has_local_disks
from infra.policies import VPC_DESCRIPTIONS, allow, arn, from_this_account, read_write, role
from infra.settings import Network, Settings
from infra.source_bundle import SourceBundle
from infra.watch.alarms import rollback_alarms

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
        key_arn: str,
        images: Images,
        source: SourceBundle,
        debugger: DebuggerImage | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings, self._bucket, self._key, self._images = settings, bucket, key_arn, images
        self.job = role(
            self,
            "Job",
            service=_SERVICE,
            description="Pedigree's prepare, feature, tuning and training jobs",
            conditions=from_this_account(self),
            statements=[*self._job_statements(source), *_debugger(self, debugger)],
        )
        self.endpoint = role(
            self,
            "Endpoint",
            service=_SERVICE,
            description="Pedigree's endpoint",
            conditions=from_this_account(self),
            statements=self._endpoint_statements(),
        )

    def _job_statements(self, source: SourceBundle) -> list[iam.PolicyStatement]:
        settings, jobs = self._settings, self._settings.jobs
        # The rules of SageMaker's Debugger run under this role, too, and stand beside the model.
        read = (*_JOBS_READ, settings.weights_prefix, *([Prefix.MODELS] if settings.debugger == "managed" else []))
        types = [job.instance_type for job in (jobs.prepare, jobs.extract, jobs.tune, jobs.train)]
        return [
            *read_write(
                self._bucket.bucket_arn,
                read=[f"{prefix}/*" for prefix in read],
                write=[f"{prefix}/*" for prefix in _JOBS_WRITE],
                sid="Bucket",
                key_arn=self._key,
            ),
            *_outputs(self._key),
            *_volumes(self._key, types),
            *_source_bundle(source, isolated=settings.network.isolation),
            *_other_sources(settings.source_buckets),
            *self._images.pull_statements(),
            *_vpc(self, settings.network),
            *_telemetry(self, namespace="/aws/sagemaker/TrainingJobs"),
        ]

    def _endpoint_statements(self) -> list[iam.PolicyStatement]:
        settings = self._settings
        return [
            *read_write(
                self._bucket.bucket_arn,
                read=[f"{Prefix.MODELS}/*"],
                write=[f"{Prefix.CAPTURES}/*"] if settings.endpoint.capture_percent else [],
                sid="Bucket",
                key_arn=self._key,
                lists=False,
            ),
            *_volumes(self._key, [settings.endpoint.instance_type]),
            *self._images.pull_statements(),
            *_vpc(self, settings.network),
            # Those of rehearsals, too.
            *_telemetry(
                self,
                namespace="/aws/sagemaker/Endpoints",
                own_groups=[f"/{settings.prefix}", f"/{settings.prefix}-*"],
            ),
            # SageMaker looks at them during a rollout.
            allow(
                ["cloudwatch:DescribeAlarms"],
                [arn(self, "cloudwatch", "alarm", name, separator=":") for name in rollback_alarms(settings.prefix)],
                sid="RollbackAlarms",
            ),
        ]


def _source_bundle(source: SourceBundle, *, isolated: bool) -> list[iam.PolicyStatement]:
    """The container fetches its code; where that reaches no network, SageMaker does, as a channel, and lists it."""
    read = allow(["s3:GetObject"], [source.object_arn], sid="SourceBundle")
    if not isolated:
        return [read]
    only = {"StringLike": {"s3:prefix": f"{source.key}*"}}
    return [read, allow(["s3:ListBucket"], [source.bucket_arn], sid="SourceBundleList", conditions=only)]


def _outputs(key_arn: str) -> list[iam.PolicyStatement]:
    return [allow(["kms:Encrypt"], [key_arn], sid="OutputEncrypt")] if key_arn else []


def _volumes(key_arn: str, instance_types: Sequence[str]) -> list[iam.PolicyStatement]:
    """SageMaker hands the key to the volumes of its instances by a grant; disks of an instance's own take none."""
    if not key_arn or all(map(has_local_disks, instance_types)):
        return []
    by_aws = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    return [allow(["kms:CreateGrant"], [key_arn], sid="VolumeGrant", conditions=by_aws)]


def _vpc(scope: Construct, network: Network) -> list[iam.PolicyStatement]:
    """SageMaker puts a network interface into the VPC for each container, under the role of the container."""
    if not network.subnets:
        return []
    interfaces = arn(scope, "ec2", "network-interface", "*")
    places = [
        *(arn(scope, "ec2", "subnet", subnet) for subnet in network.subnets),
        *(arn(scope, "ec2", "security-group", group) for group in network.security_groups),
    ]
    change = (
        "ec2:CreateNetworkInterfacePermission",
        "ec2:DeleteNetworkInterface",
        "ec2:DeleteNetworkInterfacePermission",
    )
    return [
        allow(["ec2:CreateNetworkInterface"], [interfaces, *places], sid="VpcInterfaces"),
        allow(change, [interfaces], sid="VpcInterfacesUse"),
        allow(VPC_DESCRIPTIONS, ["*"], sid="VpcLook"),
    ]


def _debugger(scope: Construct, image: DebuggerImage | None) -> list[iam.PolicyStatement]:
    """SageMaker evaluates Debugger's rules in processing jobs, under the role of the job that they look at."""
    if image is None:
        return []
    return [
        allow(PULL, [image.repository_arn], sid="DebuggerImagePull"),
        *_telemetry(scope, namespace="/aws/sagemaker/ProcessingJobs", sid="Debugger"),
    ]


def _other_sources(buckets: Sequence[str]) -> list[iam.PolicyStatement]:
    if not buckets:
        return []
    arns = [f"arn:{Aws.PARTITION}:s3:::{bucket}" for bucket in buckets]
    return [
        allow(["s3:ListBucket"], arns, sid="SourcesList"),
        allow(["s3:GetObject"], [f"{each}/*" for each in arns], sid="SourcesRead"),
    ]


def _telemetry(
    scope: Construct, *, namespace: str, own_groups: Sequence[str] = ("",), sid: str = ""
) -> list[iam.PolicyStatement]:
    """Return what allows writing logs and metrics where SageMaker writes them.

    Training jobs share one log group, called as the metrics' namespace; each endpoint has a group of its own below.
    """
    # With the ``:*`` at the end that CloudWatch Logs wants in policies.
    log_groups = [arn(scope, "logs", "log-group", f"{namespace}{own}:*", separator=":") for own in own_groups]
    return [
        allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            log_groups,
            sid=f"{sid}Logs",
        ),
        allow(
            ["cloudwatch:PutMetricData"],
            ["*"],  # has no resource-level permission; the namespace limits it
            sid=f"{sid}Metrics",
            conditions={"StringLike": {"cloudwatch:namespace": f"{namespace}*"}},
        ),
    ]

"""The bucket that holds photos, features, checkpoints and models of one stage."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_s3 as s3
from constructs import Construct

from contract.names import Prefix

# A resume record must be gone before what it points to: features, checkpoints.
_RESUME_DAYS = 7
_CACHE_DAYS = 30
_OLD_VERSION_DAYS = 7


class DataBucket(Construct):
    """An encrypted, versioned bucket that answers over TLS 1.2 only; what can be computed again expires."""

    def __init__(self, scope: Construct, construct_id: str, *, removal: RemovalPolicy) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            removal_policy=removal,
            auto_delete_objects=removal is RemovalPolicy.DESTROY,
            lifecycle_rules=[
                _expire(Prefix.FEATURES, _CACHE_DAYS),
                _expire(Prefix.CHECKPOINTS, _CACHE_DAYS),
                _expire(Prefix.RESUME, _RESUME_DAYS),
                s3.LifecycleRule(
                    id="old-versions",
                    noncurrent_version_expiration=Duration.days(_OLD_VERSION_DAYS),
                    abort_incomplete_multipart_upload_after=Duration.days(_OLD_VERSION_DAYS),
                    expired_object_delete_marker=True,
                ),
            ],
        )


def _expire(prefix: Prefix, days: int) -> s3.LifecycleRule:
    return s3.LifecycleRule(id=f"expire-{prefix}", prefix=f"{prefix}/", expiration=Duration.days(days))

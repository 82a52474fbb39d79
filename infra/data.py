"""The bucket that holds photos, features, checkpoints and models of one stage."""

from collections.abc import Sequence
from typing import Any, Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from contract.names import Prefix
from infra.cleanup.construct import EmptyBuckets
from infra.customer_key import CustomerKey
from infra.settings import Settings

_CACHE_DAYS: Final = 30
_RECORD_DAYS: Final = 7
# What expires: what can be computed again, and what was only looked at. Models and data sets are kept.
_EXPIRES: Final = {
    Prefix.FEATURES: _CACHE_DAYS,
    Prefix.CHECKPOINTS: _CACHE_DAYS,
    Prefix.CAPTURES: _CACHE_DAYS,
    # A resume record must be gone before what it points to: features, checkpoints.
    Prefix.RESUME: _RECORD_DAYS,
    # Longer than any deployment takes; one that was left behind is taken over anyway.
    Prefix.LOCKS: _RECORD_DAYS,
}
_OLD_VERSION_DAYS: Final = 7
# Strangers' photos: gone after a day, and nothing kept of them.
_UPLOAD_DAYS: Final = 1


class DataBucket(Construct):
    """An encrypted, versioned bucket that answers over TLS 1.2 only; who reads and writes is logged in a second one."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        removal = RemovalPolicy.DESTROY if settings.removal == "destroy" else RemovalPolicy.RETAIN
        self.key: kms.IKey | None = (
            CustomerKey(self, "CustomerKey", name=settings.prefix, removal=removal).key
            if settings.customer_key
            else None
        )
        self.logs = _private_bucket(
            self,
            "AccessLogs",
            removal,
            # S3 delivers access logs into no bucket that a customer key encrypts by default.
            encryption=s3.BucketEncryption.S3_MANAGED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="expire",
                    expiration=Duration.days(settings.watch.log_days),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
        )
        self.bucket = _private_bucket(
            self,
            "Bucket",
            removal,
            versioned=True,
            server_access_logs_bucket=self.logs,
            lifecycle_rules=[
                *(_expire(prefix, days) for prefix, days in _EXPIRES.items()),
                _forget_uploads(),
                _old_versions(),
            ],
            cors=_cors(settings.api.cors_origins),
            **_encryption(self.key),
        )
        if removal is RemovalPolicy.DESTROY:
            # The data first: emptying it is logged in the other one.
            buckets = [self.bucket, self.logs]
            EmptyBuckets(self, "EmptyBuckets", name=f"{settings.prefix}-empty-buckets", buckets=buckets)


def _private_bucket(scope: Construct, construct_id: str, removal: RemovalPolicy, **options: Any) -> s3.Bucket:
    return s3.Bucket(
        scope,
        construct_id,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        removal_policy=removal,
        **options,
    )


def _encryption(key: kms.IKey | None) -> dict[str, Any]:
    if key is None:
        return {"encryption": s3.BucketEncryption.S3_MANAGED}
    # With a bucket key, S3 asks KMS now and then, not once per photo: KMS bills and limits by requests.
    return {"encryption": s3.BucketEncryption.KMS, "encryption_key": key, "bucket_key_enabled": True}


def _expire(prefix: Prefix, days: int) -> s3.LifecycleRule:
    return s3.LifecycleRule(id=f"expire-{prefix}", prefix=f"{prefix}/", expiration=Duration.days(days))


def _forget_uploads() -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id=f"forget-{Prefix.UPLOADS}",
        prefix=f"{Prefix.UPLOADS}/",
        expiration=Duration.days(_UPLOAD_DAYS),
        noncurrent_version_expiration=Duration.days(_UPLOAD_DAYS),
    )


def _cors(origins: Sequence[str]) -> list[s3.CorsRule] | None:
    """Return what lets pages of ``origins`` send photos to addresses that were signed for them."""
    if not origins:
        return None
    rule = s3.CorsRule(
        allowed_methods=[s3.HttpMethods.PUT], allowed_origins=[*origins], allowed_headers=["content-type"]
    )
    return [rule]


def _old_versions() -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id="old-versions",
        noncurrent_version_expiration=Duration.days(_OLD_VERSION_DAYS),
        abort_incomplete_multipart_upload_after=Duration.days(_OLD_VERSION_DAYS),
        expired_object_delete_marker=True,
    )

"""What S3 asks of a caller besides the permission that a request is named after: keys, and whether a key exists."""

import contextvars
import functools
from collections.abc import Callable, Mapping
from typing import Any, Final
from xml.etree import ElementTree

from local_cloud.settings import ACCOUNT

Checks = list[tuple[str, str]]

_ENCRYPTION: Final = "x-amz-server-side-encryption"
_KEY_ID: Final = f"{_ENCRYPTION}-aws-kms-key-id"
_READS: Final = {"GetObject": "s3:ListBucket", "GetObjectVersion": "s3:ListBucketVersions"}
# The object whose key is asked for: S3 hands KMS its ARN as encryption context.
_object: contextvars.ContextVar[str] = contextvars.ContextVar("object", default="")


def install() -> None:
    """Have S3 check, as on AWS, the KMS key of what is written or read, and the right to know that a key is missing."""
    from ministack.core import iam_actions

    _install_default_encryption()
    plain: Callable[..., Checks] = iam_actions.s3_additional_checks

    @functools.wraps(plain)
    def s3_additional_checks(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query_params: Mapping[str, Any]
    ) -> Checks:
        found = plain(method, path, headers, body, query_params)
        bucket, _, key = path.lstrip("/").partition("/")
        if key:
            _object.set(f"arn:aws:s3:::{bucket}/{key}")
            action = iam_actions._s3_action(method, path, query_params) or ""
            found += _conditional(action, method, headers) + _hidden(action, bucket, key, query_params)
            found += _keys(action, method, headers, bucket, key, query_params)
        return found

    iam_actions.s3_additional_checks = s3_additional_checks


def _install_default_encryption() -> None:
    """Encrypt a bucket's objects as its template says, which MiniStack leaves out."""
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    create, update = handlers["create"], handlers["update"]

    @functools.wraps(create)
    def create_bucket(logical_id: str, properties: Mapping[str, Any], *rest: Any) -> Any:
        created = create(logical_id, properties, *rest)
        _encrypt_by_default(created[0], properties)
        return created

    @functools.wraps(update)
    def update_bucket(name: str, old: Mapping[str, Any], new: Mapping[str, Any], *rest: Any) -> Any:
        updated = update(name, old, new, *rest)
        _encrypt_by_default(updated[0] if isinstance(updated, tuple) else name, new)
        return updated

    handlers["create"], handlers["update"] = create_bucket, update_bucket


def _encrypt_by_default(bucket: str, properties: Mapping[str, Any]) -> None:
    from ministack.services import s3

    rules = properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
    default = rules[0].get("ServerSideEncryptionByDefault", {}) if rules else {}
    # Keys of AWS's own are left out: they ask nobody for a permission, and MiniStack has none.
    if "KMSMasterKeyID" not in default:
        s3._delete_bucket_encryption(bucket)
        return
    root = ElementTree.Element("ServerSideEncryptionConfiguration")
    rule = ElementTree.SubElement(root, "Rule")
    applied = ElementTree.SubElement(rule, "ApplyServerSideEncryptionByDefault")
    for member in ("SSEAlgorithm", "KMSMasterKeyID"):
        ElementTree.SubElement(applied, member).text = str(default[member])
    s3._put_bucket_encryption(bucket, ElementTree.tostring(root))


def key_context(region: str) -> dict[str, str]:
    """Return the condition keys with which S3 asks for a key on behalf of a caller."""
    return {
        "kms:ViaService": f"s3.{region}.amazonaws.com",
        "kms:CallerAccount": ACCOUNT,
        "kms:EncryptionContext:aws:s3:arn": _object.get(),
    }


def _conditional(action: str, method: str, headers: Mapping[str, str]) -> Checks:
    """To compare an object's ETag is to read the object (S3 user guide, conditional requests)."""
    etag = headers.get("if-match", "*").strip()
    if method in ("PUT", "POST", "DELETE") and action in ("PutObject", "DeleteObject") and etag != "*":
        return [("s3:GetObject", _object.get())]
    return []


def _hidden(action: str, bucket_name: str, key: str, query: Mapping[str, Any]) -> Checks:
    """Only who may list a bucket learns that an object is not there; others are refused (API reference, GetObject)."""
    from ministack.services import s3

    bucket = s3._buckets.get(bucket_name)
    if action not in _READS or bucket is None or _stored(bucket, bucket_name, key, query) is not None:
        return []
    return [(_READS[action], f"arn:aws:s3:::{bucket_name}")]


def _keys(
    action: str, method: str, headers: Mapping[str, str], bucket_name: str, key: str, query: Mapping[str, Any]
) -> Checks:
    """Return the KMS permissions: a write takes a data key, a read takes decryption, an upload in parts takes both."""
    from ministack.services import s3

    bucket = s3._buckets.get(bucket_name)
    if bucket is None:
        return []
    if action == "PutObject":
        return _write_keys(method, headers, bucket_name, query)
    checksum = headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"
    if action in _READS and (method == "GET" or checksum):
        return _permission("kms:Decrypt", _encryption(_stored(bucket, bucket_name, key, query)))
    return []


def _write_keys(method: str, headers: Mapping[str, str], bucket_name: str, query: Mapping[str, Any]) -> Checks:
    from ministack.core import iam_actions
    from ministack.services import s3

    upload_id = iam_actions._query_param(query, "uploadId")
    if upload_id:
        encryption = _encryption(s3._multipart_uploads.get(upload_id))
        found = _permission("kms:Decrypt", encryption)
        return found + (_permission("kms:GenerateDataKey", encryption) if method == "PUT" else [])
    encryption, _ = s3._resolve_sse_write_headers(headers, bucket_name)
    found = _permission("kms:GenerateDataKey", encryption or {})
    source = iam_actions._s3_source_object(headers)
    if source is not None:
        of_bucket, _, of_key = source[0].removeprefix("arn:aws:s3:::").partition("/")
        bucket = s3._buckets.get(of_bucket) or {"objects": {}}
        version = {"versionId": source[1]} if source[1] else {}
        found += _permission("kms:Decrypt", _encryption(_stored(bucket, of_bucket, of_key, version)))
    return found


def _stored(bucket: Mapping[str, Any], bucket_name: str, key: str, query: Mapping[str, Any]) -> Any:
    """Return MiniStack's record of the object, or of the version of it, that a request names; None for neither."""
    from ministack.core import iam_actions
    from ministack.services import s3

    version = iam_actions._query_param(query, "versionId")
    current = bucket["objects"].get(key)
    if not version or (current is not None and current.get("version_id") == version):
        return current
    versions = s3._object_versions.get((bucket_name, key)) or []
    found = next((each for each in versions if each["version_id"] == version), None)
    return found and s3._object_record_from_version(found)


def _encryption(record: Mapping[str, Any] | None) -> Mapping[str, str]:
    found: Mapping[str, str] = (record or {}).get("preserved_headers", {})
    return found


def _permission(action: str, encryption: Mapping[str, str]) -> Checks:
    """Return the permission on the key that an object is encrypted with; none where S3's own key does it."""
    from ministack.services import kms

    named = encryption.get(_KEY_ID)
    if encryption.get(_ENCRYPTION) != "aws:kms" or not named:
        return []
    key = kms._resolve_key(named)
    return [(action, str(key["Arn"] if key else named))]

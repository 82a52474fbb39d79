"""Tags of every resource, by ARN."""

from collections.abc import Mapping
from typing import Any

from local_cloud.sagemaker.store import Kind, Record, Store


class Tags:
    """AddTags, ListTags and DeleteTags."""

    def __init__(self, store: Store) -> None:
        """Serve the records of ``store``."""
        self._store = store

    def add(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """AddTags."""
        tags = self._of(request["ResourceArn"]) | {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        return {"Tags": self._keep(request["ResourceArn"], tags)}

    def list_tags(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListTags."""
        return {"Tags": _entries(self._of(request["ResourceArn"]))}

    def delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteTags."""
        tags = self._of(request["ResourceArn"])
        self._keep(request["ResourceArn"], {k: v for k, v in tags.items() if k not in request["TagKeys"]})
        return {}

    def forget(self, arn: str) -> None:
        """The resource is gone."""
        self._store.remove(Kind.TAGS, arn)

    def _of(self, arn: str) -> dict[str, str]:
        record = self._store.get(Kind.TAGS, arn)
        return dict(record.shown) if record else {}

    def _keep(self, arn: str, tags: dict[str, str]) -> list[dict[str, str]]:
        self._store.put(Kind.TAGS, arn, Record(tags))
        return _entries(tags)


def _entries(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]

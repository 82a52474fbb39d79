"""How a transform job's record changes while it runs."""

from typing import Any

from local_cloud.sagemaker.job_status import MAX_FAILURE_REASON
from local_cloud.sagemaker.store import Kind, Store
from local_cloud.sagemaker.wire import now


class TransformStatus:
    """Writes one transform job's record."""

    def __init__(self, store: Store, name: str) -> None:
        """Write to the record ``name``, which exists."""
        self._store = store
        self._name = name

    def shown(self) -> dict[str, Any]:
        """Return what is known of the job."""
        record = self._store.get(Kind.TRANSFORM_JOB, self._name)
        assert record is not None
        return record.shown

    def started(self, process: dict[str, float]) -> None:
        """Note the server's process, the first time also when the job started."""
        with self._store.edit(Kind.TRANSFORM_JOB, self._name) as record:
            moment = now()
            record.private["process"] = process
            record.shown.setdefault("TransformStartTime", moment)
            record.shown["LastModifiedTime"] = moment

    def stopping(self) -> bool:
        """Note that it is being stopped; False if it has ended already."""
        with self._store.edit(Kind.TRANSFORM_JOB, self._name) as record:
            if record.shown["TransformJobStatus"] not in ("InProgress", "Stopping"):
                return False
            record.shown |= {"TransformJobStatus": "Stopping", "LastModifiedTime": now()}
            return True

    def finish(self, status: str, failure: str = "") -> None:
        """Write the end."""
        with self._store.edit(Kind.TRANSFORM_JOB, self._name) as record:
            moment = now()
            record.shown |= {"TransformJobStatus": status, "TransformEndTime": moment, "LastModifiedTime": moment}
            if failure:
                record.shown["FailureReason"] = failure[:MAX_FAILURE_REASON]
            record.private.pop("process", None)

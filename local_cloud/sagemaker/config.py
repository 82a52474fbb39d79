"""What the service needs from its surroundings."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from local_cloud.sagemaker.invocation_metrics import Datum


class LogStream(Protocol):
    """One log stream; ``write`` is called from several threads, one line without its line break at a time."""

    def write(self, line: str) -> None:
        """Add one line."""

    def close(self) -> None:
        """Have every line stored by the end of this call, and lose those that come later; again does no harm."""


class S3Client(Protocol):
    """The part of boto3's S3 client in use; a client is shared by up to ``TRANSFERS`` threads."""

    def list_objects_v2(self, *, Bucket: str, Prefix: str, ContinuationToken: str = ...) -> Any:  # noqa: N803
        """List one page of keys."""

    def get_object(self, *, Bucket: str, Key: str) -> Any:  # noqa: N803
        """Open one object."""

    def put_object(self, *, Bucket: str, Key: str, Body: Any, **encryption: str) -> Any:  # noqa: N803
        """Write one object."""


# Concurrent transfers of one job; below the 10 connections that a botocore client keeps open unless told otherwise.
TRANSFERS = 8


def usable_cores() -> int:
    """Return how many cores this process may use (a container or taskset may allow fewer than there are)."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@dataclass(frozen=True)
class ServiceConfig:
    """Where the service keeps its state, and whom it asks for credentials, S3 and log streams.

    Attributes:
        state_dir: Records, running jobs and endpoints' models; owned by one service at a time.
        region: Region of the ARNs.
        account: Account of the ARNs, 12 digits.
        images: Image name -> folder with the executables ``train`` and ``serve``.
        endpoint_url: What jobs get as AWS_ENDPOINT_URL; None leaves it unset (real AWS).
        ca_bundle: What jobs get as AWS_CA_BUNDLE.
        credentials_for: (role ARN, session name) -> AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for a session,
            AWS_SESSION_TOKEN. May raise ``ServiceError`` where the role cannot be assumed.
        s3_for: Those credentials -> a boto3 S3 client, usable from several threads.
        logs: (role ARN, group, stream) -> where a container's lines go, to be closed with the container; both are
            created when missing. What the role does not allow is lost.
        put_metrics: (namespace, data) -> what CloudWatch is told of the requests to endpoints.
        firing: (role ARN, names of alarms) -> those of them that are in state ALARM, looked at under the role. May
            raise ``ServiceError`` where the role may not look, or there is no such alarm.
        poll_seconds: How often running processes, checkpoints and trials are looked at.
        stop_grace_seconds: Between SIGTERM and SIGKILL when a job is stopped or out of time (120 on AWS).
        shutdown_grace_seconds: The same when the service itself stops.
        health_check_seconds: How long a new server may take to answer /ping when its variant does not say (480 on AWS).
        metrics_seconds: How often CloudWatch is told.
        capture_seconds: How often captured requests are written to S3.
        cores: How many trials may run at once, whatever the tuning job asks for.
    """

    state_dir: Path
    region: str
    account: str
    images: Mapping[str, Path]
    endpoint_url: str | None
    ca_bundle: Path | None
    credentials_for: Callable[[str, str], dict[str, str]]
    s3_for: Callable[[dict[str, str]], S3Client]
    logs: Callable[[str, str, str], LogStream]
    put_metrics: Callable[[str, Sequence[Datum]], None]
    firing: Callable[[str, Sequence[str]], list[str]]
    poll_seconds: float = 1.0
    stop_grace_seconds: float = 120.0
    shutdown_grace_seconds: float = 5.0
    health_check_seconds: float = 480.0
    metrics_seconds: float = 1.0
    capture_seconds: float = 5.0
    cores: int = field(default_factory=usable_cores)

    def arn(self, resource: str, name: str) -> str:
        """Return a SageMaker ARN, for example ``arn("training-job", "first")``."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{resource}/{name}"

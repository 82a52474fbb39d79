"""From an endpoint configuration to running servers."""

import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from contract.s3_uri import S3Uri
from local_cloud.sagemaker.archives import unpack
from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.errors import JobError
from local_cloud.sagemaker.hosting import artifact_of, could_not_find
from local_cloud.sagemaker.model_server import ServerSpec
from local_cloud.sagemaker.s3 import S3_ERRORS, RoleSession, download_object, download_prefix
from local_cloud.sagemaker.store import Kind, Store


class Deployment:
    """Fetches the models of an endpoint configuration into a folder of their own."""

    def __init__(self, config: ServiceConfig, store: Store, endpoint: str, config_name: str) -> None:
        """Deploy ``config_name`` for ``endpoint``."""
        self._config = config
        self._store = store
        self._endpoint = endpoint
        self._config_name = config_name
        self.folder = endpoint_folder(config, endpoint) / uuid.uuid4().hex[:12]

    def prepare(self, cancelled: Callable[[], bool]) -> list[ServerSpec]:
        """Fetch and unpack the models, and return what to start.

        Raises:
            JobError: a model cannot be fetched or unpacked.
            ServiceError: the configuration or a model is gone, or a role cannot be assumed.
        """
        found = self._store.get(Kind.ENDPOINT_CONFIG, self._config_name)
        if found is None:
            raise could_not_find(self._config, Kind.ENDPOINT_CONFIG, self._config_name)
        capture = found.shown.get("DataCaptureConfig")
        return [self._variant(variant, capture, cancelled) for variant in found.shown["ProductionVariants"]]

    def discard(self) -> None:
        """Remove what was fetched."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _variant(
        self, variant: Mapping[str, Any], capture: dict[str, Any] | None, cancelled: Callable[[], bool]
    ) -> ServerSpec:
        model = self._store.get(Kind.MODEL, variant["ModelName"])
        if model is None:
            raise could_not_find(self._config, Kind.MODEL, variant["ModelName"])
        container, role = model.shown["PrimaryContainer"], model.shown["ExecutionRoleArn"]
        base = self.folder / variant["VariantName"]
        fetch_model(RoleSession(self._config, role, self._endpoint), container, base, cancelled)
        return ServerSpec(
            endpoint=self._endpoint,
            variant=variant["VariantName"],
            image=container["Image"],
            role_arn=role,
            base=str(base),
            startup_seconds=variant.get(
                "ContainerStartupHealthCheckTimeoutInSeconds", self._config.health_check_seconds
            ),
            weight=variant["InitialVariantWeight"],
            instances=variant.get("InitialInstanceCount", 1),
            environment=dict(container["Environment"]),
            capture=capture,
            isolated=model.shown["EnableNetworkIsolation"],
        )


def fetch_model(
    session: RoleSession, container: Mapping[str, Any], base: Path, cancelled: Callable[[], bool] = lambda: False
) -> None:
    """Bring a model's artifact to ``base``/model, unpacked; the folder is empty for an image that brings its own.

    Raises:
        JobError: it cannot be fetched or unpacked.
    """
    target = base / "model"
    target.mkdir(parents=True)
    artifact = artifact_of(container)
    if artifact is None:
        return
    uri, packed = artifact
    client = session.s3()
    try:
        if not packed:
            if not download_prefix(client, uri, target, cancelled):
                raise _no_data(uri)
            return
        archive = base / "model.tar.gz"
        download_object(client, uri, archive)
        unpack(archive, target)
        archive.unlink()
    except S3_ERRORS as error:
        raise _no_data(uri) from error


def endpoint_folder(config: ServiceConfig, endpoint: str) -> Path:
    """Return the folder that holds an endpoint's deployments."""
    return config.state_dir / "endpoints" / endpoint


def _no_data(uri: S3Uri) -> JobError:
    return JobError(
        f'Failed to download model data for container "container_1" from URL: "{uri}". Please ensure that there is an '
        "object located at the URL and that the role passed to CreateModel has permissions to download the object."
    )

"""The records of endpoints: what Describe shows, and how it changes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.deployment import endpoint_folder
from local_cloud.sagemaker.hosting import could_not_find
from local_cloud.sagemaker.model_server import ServerSpec
from local_cloud.sagemaker.store import Kind, Record, Store, remove_folder
from local_cloud.sagemaker.wire import now


class EndpointRecords:
    """Reads and writes the records of endpoints."""

    def __init__(self, config: ServiceConfig, store: Store) -> None:
        """Use the records of ``store``."""
        self._config = config
        self._store = store

    def get(self, name: str) -> Record:
        """Return a copy of one record.

        Raises:
            ServiceError: there is no such endpoint.
        """
        record = self._store.get(Kind.ENDPOINT, name)
        if record is None:
            raise could_not_find(self._config, Kind.ENDPOINT, name)
        return record

    def all(self) -> list[Record]:
        """Return copies of all records."""
        return self._store.all(Kind.ENDPOINT)

    def show(self, name: str, **members: Any) -> None:
        """Set what Describe answers; None takes a member away."""
        with self._store.edit(Kind.ENDPOINT, name) as record:
            shown = record.shown | members | {"LastModifiedTime": now()}
            record.shown = {key: value for key, value in shown.items() if value is not None}

    def commit(self, name: str, config_name: str, specs: list[ServerSpec], counts: Mapping[str, int]) -> None:
        """Keep which configuration serves from now on, after a restart too; ``counts``: variant -> its instances."""
        with self._store.edit(Kind.ENDPOINT, name) as record:
            record.private["servers"] = [spec.to_record() for spec in specs]
            record.shown["EndpointConfigName"] = config_name
            record.shown["ProductionVariants"] = [variant(spec, counts.get(spec.variant)) for spec in specs]
            record.shown.pop("DataCaptureConfig", None)
            if specs[0].capture is not None:
                record.shown["DataCaptureConfig"] = _capture_summary(specs[0].capture)

    def started(self, spec: ServerSpec, identity: dict[str, float]) -> None:
        """Keep the identity of a server's process, for the case of a crash."""
        with self._store.edit(Kind.ENDPOINT, spec.endpoint) as record:
            record.private["processes"][spec.base] = identity

    def stopped(self) -> None:
        """Forget all processes."""
        for record in self.all():
            with self._store.edit(Kind.ENDPOINT, record.shown["EndpointName"]) as kept:
                kept.private["processes"] = {}

    def remove(self, name: str) -> None:
        """Forget an endpoint and remove its files."""
        remove_folder(endpoint_folder(self._config, name))
        self._store.remove(Kind.ENDPOINT, name)

    def remove_other_folders(self, name: str) -> None:
        """Remove the files of all deployments but the one that serves."""
        used = {Path(spec["base"]).parent for spec in self.get(name).private["servers"]}
        folder = endpoint_folder(self._config, name)
        for child in folder.iterdir() if folder.is_dir() else ():
            if child not in used:
                remove_folder(child)


def variant(spec: ServerSpec, count: int | None = None) -> dict[str, Any]:
    """Return what Describe shows of a variant; ``count``: its instances, if not those that it was configured with."""
    instances = spec.instances if count is None else count
    return {
        "VariantName": spec.variant,
        "DeployedImages": [{"SpecifiedImage": spec.image, "ResolvedImage": spec.image, "ResolutionTime": now()}],
        "CurrentWeight": spec.weight,
        "DesiredWeight": spec.weight,
        "CurrentInstanceCount": instances,
        "DesiredInstanceCount": instances,
    }


def _capture_summary(capture: Mapping[str, Any]) -> dict[str, Any]:
    enabled = capture.get("EnableCapture", True)
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
        "DestinationS3Uri": capture["DestinationS3Uri"],
        "KmsKeyId": capture.get("KmsKeyId", ""),
    }

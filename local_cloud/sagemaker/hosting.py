"""Models and endpoint configurations: records that endpoints are made from."""

from collections.abc import Mapping
from typing import Any

from contract.s3_uri import S3Uri
from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.errors import JobError, ServiceError, validation
from local_cloud.sagemaker.listing import Listing
from local_cloud.sagemaker.roles import image_folder
from local_cloud.sagemaker.s3 import s3_uri
from local_cloud.sagemaker.store import Kind, Record, Store
from local_cloud.sagemaker.wire import now

_MODELS = Listing("Models", "ModelName", frozenset({"ModelName", "ModelArn", "CreationTime"}))
_CONFIGS = Listing(
    "EndpointConfigs",
    "EndpointConfigName",
    frozenset({"EndpointConfigName", "EndpointConfigArn", "CreationTime"}),
)
_ON_AWS_ONLY = ("AsyncInferenceConfig", "ShadowProductionVariants", "ExplainerConfig")
NAMES = {Kind.MODEL: "model", Kind.ENDPOINT_CONFIG: "endpoint configuration", Kind.ENDPOINT: "endpoint"}


def could_not_find(config: ServiceConfig, kind: Kind, name: str) -> ServiceError:
    """Return the error for a name that is not there."""
    return validation(f'Could not find {NAMES[kind]} "{config.arn(kind, name)}".')


def already_exists(config: ServiceConfig, kind: Kind, name: str) -> ServiceError:
    """Return the error for a name that is taken."""
    return validation(f'Cannot create already existing {NAMES[kind]} "{config.arn(kind, name)}".')


class Models:
    """Models: an image, an artifact in S3 and a role."""

    def __init__(self, config: ServiceConfig, store: Store) -> None:
        """Serve the records of ``store``."""
        self._config = config
        self._store = store

    def create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateModel."""
        name = request["ModelName"]
        container = _one_container(request)
        if "ExecutionRoleArn" not in request:
            raise validation("ExecutionRoleArn is required.")
        if "Image" not in container:
            raise validation("PrimaryContainer.Image is required here (model packages run on AWS only).")
        try:
            image_folder(self._config, container["Image"], request["ExecutionRoleArn"])
            artifact_of(container)
        except JobError as error:
            raise validation(str(error).removeprefix("ClientError: ")) from error
        arn = self._config.arn("model", name)
        shown = {k: v for k, v in request.items() if k not in ("Tags", "Containers")}
        shown |= {
            "PrimaryContainer": {"Mode": "SingleModel", "Environment": {}, **container},
            "ModelArn": arn,
            "CreationTime": now(),
            "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
        }
        if not self._store.add(Kind.MODEL, name, Record(shown)):
            raise already_exists(self._config, Kind.MODEL, name)
        return {"ModelArn": arn}

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeModel."""
        record = self._store.get(Kind.MODEL, request["ModelName"])
        if record is None:
            raise could_not_find(self._config, Kind.MODEL, request["ModelName"])
        return record.shown

    def delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteModel."""
        if not self._store.remove(Kind.MODEL, request["ModelName"]):
            raise could_not_find(self._config, Kind.MODEL, request["ModelName"])
        return {}

    def list_models(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListModels."""
        return _MODELS.answer([record.shown for record in self._store.all(Kind.MODEL)], request)


class EndpointConfigs:
    """Endpoint configurations: which models, with what share of the traffic."""

    def __init__(self, config: ServiceConfig, store: Store) -> None:
        """Serve the records of ``store``."""
        self._config = config
        self._store = store

    def create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateEndpointConfig."""
        name = request["EndpointConfigName"]
        for member in _ON_AWS_ONLY:
            if member in request:
                raise validation(f"{member} is offered on AWS only.")
        variants = [variant["VariantName"] for variant in request["ProductionVariants"]]
        if len(set(variants)) != len(variants):
            raise validation(f"Variant names must be unique: {', '.join(variants)}.")
        for variant in request["ProductionVariants"]:
            if "ModelName" not in variant:
                raise validation(f"Variant {variant['VariantName']}: ModelName is required here.")
            if self._store.get(Kind.MODEL, variant["ModelName"]) is None:
                raise could_not_find(self._config, Kind.MODEL, variant["ModelName"])
            if "InstanceType" not in variant and "ServerlessConfig" not in variant:
                raise validation(f"Variant {variant['VariantName']}: InstanceType or ServerlessConfig is required.")
        arn = self._config.arn("endpoint-config", name)
        shown = {k: v for k, v in request.items() if k != "Tags"}
        shown["ProductionVariants"] = [{"InitialVariantWeight": 1.0, **v} for v in request["ProductionVariants"]]
        shown |= {"EndpointConfigArn": arn, "CreationTime": now()}
        if not self._store.add(Kind.ENDPOINT_CONFIG, name, Record(shown)):
            raise already_exists(self._config, Kind.ENDPOINT_CONFIG, name)
        return {"EndpointConfigArn": arn}

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeEndpointConfig."""
        record = self._store.get(Kind.ENDPOINT_CONFIG, request["EndpointConfigName"])
        if record is None:
            raise could_not_find(self._config, Kind.ENDPOINT_CONFIG, request["EndpointConfigName"])
        return record.shown

    def delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteEndpointConfig."""
        if not self._store.remove(Kind.ENDPOINT_CONFIG, request["EndpointConfigName"]):
            raise could_not_find(self._config, Kind.ENDPOINT_CONFIG, request["EndpointConfigName"])
        return {}

    def list_configs(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListEndpointConfigs."""
        return _CONFIGS.answer([record.shown for record in self._store.all(Kind.ENDPOINT_CONFIG)], request)


def _one_container(request: Mapping[str, Any]) -> dict[str, Any]:
    containers = [*request.get("Containers", [])]
    if "PrimaryContainer" in request:
        containers.append(request["PrimaryContainer"])
    if len(containers) != 1:
        raise validation(f"One container is required here (PrimaryContainer), got {len(containers)}.")
    container: dict[str, Any] = containers[0]
    if container.get("Mode") == "MultiModel":
        raise validation("Multi-model containers are offered on AWS only.")
    return container


def artifact_of(container: Mapping[str, Any]) -> tuple[S3Uri, bool] | None:
    """Return where a model's artifact is and whether it is a tar.gz; None for an image that brings its own.

    Raises:
        JobError: the URI is no S3 URI.
    """
    if "ModelDataUrl" in container:
        return s3_uri(container["ModelDataUrl"]), True
    if "ModelDataSource" in container:
        source = container["ModelDataSource"]["S3DataSource"]
        return s3_uri(source["S3Uri"]), source["CompressionType"] == "Gzip"
    return None

"""The model registry: groups of model packages, numbered as they come."""

import threading
from collections.abc import Mapping
from typing import Any, Final

from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.errors import ServiceError, validation
from local_cloud.sagemaker.listing import Listing
from local_cloud.sagemaker.store import Kind, Record, Store
from local_cloud.sagemaker.validation import members_of
from local_cloud.sagemaker.wire import now

_GROUPS: Final = Listing(
    "ModelPackageGroupSummaryList",
    "ModelPackageGroupName",
    frozenset(
        {
            "ModelPackageGroupName",
            "ModelPackageGroupArn",
            "ModelPackageGroupDescription",
            "CreationTime",
            "ModelPackageGroupStatus",
        }
    ),
)
_PACKAGES: Final = Listing(
    "ModelPackageSummaryList",
    "ModelPackageGroupName",
    frozenset(
        {
            "ModelPackageGroupName",
            "ModelPackageVersion",
            "ModelPackageArn",
            "ModelPackageDescription",
            "CreationTime",
            "ModelPackageStatus",
            "ModelApprovalStatus",
        }
    ),
)
_ON_AWS_ONLY: Final = ("ValidationSpecification", "SourceAlgorithmSpecification", "ModelCard", "ModelLifeCycle")
_CHANGED: Final = ("ModelApprovalStatus", "ApprovalDescription", "SourceUri", "InferenceSpecification")


class ModelRegistry:
    """Model package groups and the packages in them."""

    def __init__(self, config: ServiceConfig, store: Store) -> None:
        """Serve the records of ``store``."""
        self._config = config
        self._store = store
        # A package is counted in its group and kept beside it: both or neither, whoever deletes meanwhile.
        self._lock = threading.Lock()

    def create_group(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateModelPackageGroup."""
        name = request["ModelPackageGroupName"]
        arn = self._config.arn(Kind.MODEL_PACKAGE_GROUP, name)
        shown = {key: value for key, value in request.items() if key != "Tags"}
        shown |= {
            "ModelPackageGroupArn": arn,
            "CreationTime": now(),
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
        }
        if not self._store.add(Kind.MODEL_PACKAGE_GROUP, name, Record(shown, {"versions": 0})):
            raise validation(f"Model Package Group already exists: {arn}")
        return {"ModelPackageGroupArn": arn}

    def describe_group(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeModelPackageGroup."""
        return self._group(request["ModelPackageGroupName"]).shown

    def list_groups(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListModelPackageGroups."""
        return _GROUPS.answer([record.shown for record in self._store.all(Kind.MODEL_PACKAGE_GROUP)], request)

    def delete_group(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteModelPackageGroup."""
        with self._lock:
            shown = self._group(request["ModelPackageGroupName"]).shown
            name = shown["ModelPackageGroupName"]
            if any(package["ModelPackageGroupName"] == name for package in self._packages()):
                raise ServiceError(
                    "ConflictException",
                    f"Model Package Group {shown['ModelPackageGroupArn']} cannot be deleted because it still contains "
                    "model packages.",
                )
            self._store.remove(Kind.MODEL_PACKAGE_GROUP, name)
        return {}

    def create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateModelPackage; versioned packages only."""
        _check(request)
        with self._lock:
            name = self._group(request["ModelPackageGroupName"]).shown["ModelPackageGroupName"]
            with self._store.edit(Kind.MODEL_PACKAGE_GROUP, name) as group:
                group.private["versions"] += 1
                version = group.private["versions"]
            arn = self._config.arn(Kind.MODEL_PACKAGE, f"{name}/{version}")
            moment = now()
            known = members_of("DescribeModelPackage", "output")
            shown = {key: value for key, value in request.items() if key in known}
            shown |= {
                "ModelPackageName": name,
                "ModelPackageGroupName": name,
                "ModelPackageVersion": version,
                "ModelPackageArn": arn,
                "CreationTime": moment,
                "LastModifiedTime": moment,
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
                "CertifyForMarketplace": False,
                "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval"),
                "CreatedBy": {},
            }
            self._store.put(Kind.MODEL_PACKAGE, f"{name}/{version}", Record(shown))
        return {"ModelPackageArn": arn}

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeModelPackage."""
        return self._package(request["ModelPackageName"]).shown

    def update(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateModelPackage."""
        arn = request["ModelPackageArn"]
        self._package(arn)
        for member in ("AdditionalInferenceSpecificationsToAdd", "ModelCard", "ModelLifeCycle"):
            if member in request:
                raise validation(f"{member} is offered on AWS only.")
        with self._store.edit(Kind.MODEL_PACKAGE, _key(arn)) as record:
            shown = record.shown
            shown |= {key: request[key] for key in _CHANGED if key in request}
            removed = request.get("CustomerMetadataPropertiesToRemove", [])
            kept = {k: v for k, v in shown.get("CustomerMetadataProperties", {}).items() if k not in removed}
            shown["CustomerMetadataProperties"] = kept | request.get("CustomerMetadataProperties", {})
            shown |= {"LastModifiedTime": now(), "LastModifiedBy": {}}
        return {"ModelPackageArn": shown["ModelPackageArn"]}

    def delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteModelPackage."""
        with self._lock:
            self._package(request["ModelPackageName"])
            self._store.remove(Kind.MODEL_PACKAGE, _key(request["ModelPackageName"]))
        return {}

    def list_packages(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListModelPackages."""
        if "ModelPackageGroupName" not in request:
            # Without a group, unversioned packages are listed on AWS unless asked otherwise; there are none here.
            kept = self._packages() if request.get("ModelPackageType", "Unversioned") != "Unversioned" else []
        else:
            name = _key(request["ModelPackageGroupName"])
            kept = [package for package in self._packages() if package["ModelPackageGroupName"] == name]
        status = request.get("ModelApprovalStatus")
        return _PACKAGES.answer(
            [package for package in kept if status in (None, package["ModelApprovalStatus"])], request
        )

    def _packages(self) -> list[dict[str, Any]]:
        return [record.shown for record in self._store.all(Kind.MODEL_PACKAGE)]

    def _group(self, name: str) -> Record:
        record = self._store.get(Kind.MODEL_PACKAGE_GROUP, _key(name))
        if record is None:
            arn = self._config.arn(Kind.MODEL_PACKAGE_GROUP, _key(name))
            raise validation(f"ModelPackageGroup {arn} does not exist.")
        return record

    def _package(self, name: str) -> Record:
        record = self._store.get(Kind.MODEL_PACKAGE, _key(name))
        if record is None:
            raise validation(f"ModelPackage {self._config.arn(Kind.MODEL_PACKAGE, _key(name))} does not exist.")
        return record


def _key(name: str) -> str:
    """Return ``group`` or ``group/version`` of a name or ARN."""
    return name.partition("/")[2] if name.startswith("arn:") else name


def _check(request: Mapping[str, Any]) -> None:
    """Refuse what SageMaker refuses, and what is only offered on AWS."""
    if "ModelPackageName" in request and "ModelPackageGroupName" in request:
        raise validation(
            "Both ModelPackageName and ModelPackageGroupName are provided in the input. Cannot determine which one to "
            "use."
        )
    if "ModelPackageGroupName" not in request:
        raise validation("ModelPackageGroupName is required here: unversioned model packages run on AWS only.")
    if request.get("Tags"):
        raise validation("Tags cannot be given to a versioned model package: those of its group hold.")
    if request.get("CertifyForMarketplace"):
        raise validation("CertifyForMarketplace is offered on AWS only.")
    for member in _ON_AWS_ONLY:
        if member in request:
            raise validation(f"{member} is offered on AWS only.")
    for container in request.get("InferenceSpecification", {}).get("Containers", []):
        if "Image" not in container:
            raise validation("InferenceSpecification.Containers: Image is required here.")

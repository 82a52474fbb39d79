"""The model registry as the state machine sees it."""

from typing import Any

from tests.infra.machine import TaskError

_ARN = "arn:aws:sagemaker:us-east-1:123456789012:model-package"


def _refused(message: str) -> TaskError:
    return TaskError("SageMaker.SageMakerException", f"{message} (Service: SageMaker, Status Code: 400)")


class FakeRegistry:
    """Groups, and their versions by ARN."""

    def __init__(self) -> None:
        self.groups: set[str] = set()
        self.packages: dict[str, dict[str, Any]] = {}

    def create_group(self, request: Any) -> Any:
        """CreateModelPackageGroup."""
        name = request["ModelPackageGroupName"]
        if name in self.groups:
            raise _refused(f"Model Package Group already exists: {_ARN}-group/{name}")
        self.groups.add(name)
        return {"ModelPackageGroupArn": f"{_ARN}-group/{name}"}

    def create(self, request: Any) -> Any:
        """CreateModelPackage."""
        name = request["ModelPackageGroupName"]
        if name not in self.groups:
            raise _refused(f"ModelPackageGroup {_ARN}-group/{name} does not exist.")
        assert "Tags" not in request, "those of the group hold"
        arn = f"{_ARN}/{name}/{len(self.packages) + 1}"
        self.packages[arn] = dict(request)
        return {"ModelPackageArn": arn}

    def describe(self, request: Any) -> Any:
        """DescribeModelPackage."""
        arn = request["ModelPackageName"]
        if arn not in self.packages:
            raise _refused(f"ModelPackage {arn} does not exist.")
        return {"ModelPackageArn": arn, **self.packages[arn]}

    def update(self, request: Any) -> Any:
        """UpdateModelPackage."""
        arn = request["ModelPackageArn"]
        if arn not in self.packages:
            raise _refused(f"ModelPackage {arn} does not exist.")
        self.packages[arn] |= request
        return {"ModelPackageArn": arn}

    def statuses(self) -> list[str]:
        """Return the approval status of every version, the oldest first."""
        return [package["ModelApprovalStatus"] for package in self.packages.values()]

"""What the function's clients are told to answer."""

import io
import json
from dataclasses import dataclass
from typing import Any

from botocore.response import StreamingBody
from botocore.stub import Stubber

PACKAGE = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/pedigree-dev/3"
PREPARED = "s3://bucket/prepared/job-1/output/model"


@dataclass(frozen=True)
class Aws:
    """Prepares answers, in the order in which they are asked for."""

    s3: Stubber
    sagemaker: Stubber

    def holds(self, key: str, content: bytes | dict[str, Any]) -> None:
        """Let the bucket hold an object."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        body = StreamingBody(io.BytesIO(data), len(data))
        self.s3.add_response("get_object", {"Body": body}, {"Bucket": "bucket", "Key": key})

    def lacks(self, key: str) -> None:
        """Let it hold none of that name."""
        self.s3.add_client_error("get_object", "NoSuchKey", expected_params={"Bucket": "bucket", "Key": key})

    def in_production(self, **more: Any) -> None:
        """Let an execution have put a model into service."""
        record = {"model_package_arn": PACKAGE, "prepared_uri": PREPARED} | more
        self.holds("production/model.json", {name: value for name, value in record.items() if value is not None})

    def endpoint(self, status: str, instances: int | None = None) -> None:
        """Let the endpoint be in a state."""
        variant = {"VariantName": "AllTraffic"} | ({} if instances is None else {"CurrentInstanceCount": instances})
        answer = {
            "EndpointName": "pedigree-dev",
            "EndpointArn": "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/pedigree-dev",
            "EndpointConfigName": "c",
            "EndpointStatus": status,
            "ProductionVariants": [variant],
            "CreationTime": 0,
            "LastModifiedTime": 0,
        }
        self.sagemaker.add_response("describe_endpoint", answer, {"EndpointName": "pedigree-dev"})

    def no_endpoint(self) -> None:
        """Let there be none."""
        self.sagemaker.add_client_error(
            "describe_endpoint", "ValidationException", 'Could not find endpoint "arn:aws:sagemaker:...".'
        )

    def registry(self, accuracy: str | None) -> None:
        """Let the registry know the model's accuracy, or not."""
        properties = {} if accuracy is None else {"final:test_accuracy": accuracy}
        answer = {
            "ModelPackageName": "pedigree-dev",
            "ModelPackageArn": PACKAGE,
            "CreationTime": 0,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
            "CustomerMetadataProperties": properties,
        }
        self.sagemaker.add_response("describe_model_package", answer, {"ModelPackageName": PACKAGE})

    def not_registered(self) -> None:
        """Let the registry have lost the model."""
        self.sagemaker.add_client_error("describe_model_package", "ValidationException", "does not exist")

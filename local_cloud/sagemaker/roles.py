"""What a container gets from its role and its image."""

import os
from collections.abc import Mapping
from pathlib import Path

from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.errors import JobError
from local_cloud.sagemaker.processes import container_environment


def image_folder(config: ServiceConfig, image: str, role_arn: str) -> Path:
    """Return the folder of executables that stands for ``image``.

    Raises:
        JobError: there is no such image, worded as when SageMaker cannot pull one.
    """
    folder = config.images.get(image)
    if folder is None:
        raise JobError(
            f"ClientError: Cannot find image {image} in registry ID: {config.account}. Please check if your ECR "
            f"repository and image exist and role {role_arn} has proper pull permissions for SageMaker: "
            "ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer. "
            f"Images here: {', '.join(sorted(config.images)) or 'none'}"
        )
    return folder


def aws_environment(
    config: ServiceConfig, image: Path, credentials: Mapping[str, str], variables: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of a container: its role's credentials, and nothing of the person's own AWS set-up.

    Without credentials, it is one whose network is isolated: it does not even learn where AWS answers.
    """
    own = {
        "AWS_REGION": config.region,
        "AWS_DEFAULT_REGION": config.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    if credentials and config.endpoint_url is not None:
        own["AWS_ENDPOINT_URL"] = config.endpoint_url
    if credentials and config.ca_bundle is not None:
        own["AWS_CA_BUNDLE"] = str(config.ca_bundle)
    return container_environment(image, variables, own, credentials)

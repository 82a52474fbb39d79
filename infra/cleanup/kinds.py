"""What executions make outside CloudFormation, in the order in which it has to go."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.cleanup.sweep import Kind

_RETRIES: Final = Config(retries={"mode": "standard", "total_max_attempts": 8})
# Only of these SageMaker takes the deletion of an endpoint; it refuses while it is being changed.
_SETTLED: Final = ("InService", "Failed", "OutOfService", "UpdateRollbackFailed")
_ENDPOINT_LOGS: Final = "/aws/sagemaker/Endpoints"
_CAUSE: Final = "The stack is being deleted."


def belongs(name: str, prefix: str) -> bool:
    """Return whether a name is the stage's: ``pedigree-dev`` or ``pedigree-dev-...``, no ``pedigree-dev2``."""
    return name == prefix or name.startswith(f"{prefix}-")


def running_kinds(prefix: str, state_machine_arn: str) -> list[Kind]:
    """Return what runs: executions, and the jobs that they started or left behind."""
    states, sagemaker = client("stepfunctions"), client("sagemaker")

    def executions() -> Mapping[str, str]:
        try:
            pages = states.get_paginator("list_executions").paginate(
                stateMachineArn=state_machine_arn, statusFilter="RUNNING"
            )
            return {each["executionArn"]: "" for page in pages for each in page["executions"]}
        except ClientError as error:
            if error.response["Error"]["Code"] == "StateMachineDoesNotExist":
                return {}
            raise

    def jobs(operation: str, key: str, name_key: str) -> Callable[[], Mapping[str, str]]:
        def find() -> Mapping[str, str]:
            return {
                name: "" if status == "InProgress" else status
                for status in ("InProgress", "Stopping")
                for name in _named(sagemaker, operation, key, name_key, prefix, StatusEquals=status)
            }

        return find

    return [
        Kind("execution", executions, lambda arn: states.stop_execution(executionArn=arn, cause=_CAUSE)),
        # Before its trials, or it starts new ones.
        Kind(
            "tuning job",
            jobs("list_hyper_parameter_tuning_jobs", "HyperParameterTuningJobSummaries", "HyperParameterTuningJobName"),
            lambda name: sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name),
        ),
        Kind(
            "training job",
            jobs("list_training_jobs", "TrainingJobSummaries", "TrainingJobName"),
            lambda name: sagemaker.stop_training_job(TrainingJobName=name),
        ),
    ]


def serving_kinds(prefix: str) -> list[Kind]:
    """Return what serves, its scaling and its logs, and what it was made of."""
    sagemaker, scaling, logs = client("sagemaker"), client("application-autoscaling"), client("logs")

    def endpoints() -> Mapping[str, str]:
        pages = sagemaker.get_paginator("list_endpoints").paginate(NameContains=prefix)
        found = [each for page in pages for each in page["Endpoints"] if belongs(each["EndpointName"], prefix)]
        return {
            each["EndpointName"]: "" if each["EndpointStatus"] in _SETTLED else each["EndpointStatus"] for each in found
        }

    def targets() -> Mapping[str, str]:
        pages = scaling.get_paginator("describe_scalable_targets").paginate(ServiceNamespace="sagemaker")
        found = [(each["ResourceId"], each["ScalableDimension"]) for page in pages for each in page["ScalableTargets"]]
        # A resource id is endpoint/NAME/variant/VARIANT.
        return {f"{each} {dimension}": "" for each, dimension in found if belongs(each.split("/")[1], prefix)}

    def deregister(target: str) -> None:
        resource, dimension = target.split(" ")
        scaling.deregister_scalable_target(
            ServiceNamespace="sagemaker", ResourceId=resource, ScalableDimension=dimension
        )

    def groups() -> Mapping[str, str]:
        pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"{_ENDPOINT_LOGS}/{prefix}")
        names = [each["logGroupName"] for page in pages for each in page["logGroups"]]
        return {name: "" for name in names if belongs(name.rpartition("/")[2], prefix)}

    return [
        Kind("scaling target", targets, deregister),
        Kind("endpoint", endpoints, lambda name: sagemaker.delete_endpoint(EndpointName=name)),
        Kind(
            "endpoint configuration",
            lambda: _named(sagemaker, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", prefix),
            lambda name: sagemaker.delete_endpoint_config(EndpointConfigName=name),
        ),
        Kind(
            "model",
            lambda: _named(sagemaker, "list_models", "Models", "ModelName", prefix),
            lambda name: sagemaker.delete_model(ModelName=name),
        ),
        Kind("log group", groups, lambda name: logs.delete_log_group(logGroupName=name)),
    ]


def registry_kinds(prefix: str) -> list[Kind]:
    """Return the registered models."""
    sagemaker = client("sagemaker")

    def groups() -> Mapping[str, str]:
        pages = sagemaker.get_paginator("list_model_package_groups").paginate(NameContains=prefix)
        names = [each["ModelPackageGroupName"] for page in pages for each in page["ModelPackageGroupSummaryList"]]
        return {name: "" for name in names if name == prefix}

    def packages() -> Mapping[str, str]:
        pages = sagemaker.get_paginator("list_model_packages")
        return {
            each["ModelPackageArn"]: ""
            for group in groups()
            for page in pages.paginate(ModelPackageGroupName=group)
            for each in page["ModelPackageSummaryList"]
        }

    return [
        Kind("model package", packages, lambda arn: sagemaker.delete_model_package(ModelPackageName=arn)),
        Kind(
            "model package group",
            groups,
            lambda name: sagemaker.delete_model_package_group(ModelPackageGroupName=name),
        ),
    ]


def client(service: str) -> Any:
    """Return a client that waits patiently where calls are throttled."""
    make: Any = boto3.client
    return make(service, config=_RETRIES)


def _named(sagemaker: Any, operation: str, key: str, name_key: str, prefix: str, **filters: str) -> dict[str, str]:
    pages = sagemaker.get_paginator(operation).paginate(NameContains=prefix, **filters)
    return {each[name_key]: "" for page in pages for each in page[key] if belongs(each[name_key], prefix)}

"""Every trained model becomes a version in the model registry, with what it is and how good it is."""

from typing import Any, Final

from aws_cdk import aws_iam as iam
from constructs import Construct

from contract.inference import CONTENT_TYPES, JSON_TYPE, RESPONSE_TYPE
from contract.metrics import FINAL_TEST_ACCURACY
from contract.names import PROJECT, Prefix, Step
from infra.policies import allow, arn
from infra.state_machine import give_back, lock
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import RETRY_AWS_SDK, RETRY_CONNECTION
from infra.state_machine.states import (
    FAILED,
    SAGEMAKER_ERROR,
    States,
    catch_all,
    choice,
    expr,
    put_object,
    state_name,
    task,
)

STEP: Final = Step.REGISTER
START: Final = state_name(STEP, "write down the metrics")
_GROUP: Final = state_name(STEP, "make the group")
_HAS_GROUP: Final = state_name(STEP, "is there a group")

STATISTICS: Final = "statistics.json"
_LONGEST_VALUE: Final = 256
# What a value of CustomerMetadataProperties may not hold.
_REFUSED: Final = r"/[^A-Za-z0-9 _.:\/=+@-]/"


def register_states(facts: Facts, *, then: str) -> States:
    """Return the states to ``$package``, the ARN of the model's version in the registry."""
    key = f"'{Prefix.MODELS}/' & $training_job_name & '/{STATISTICS}'"
    accuracy = f"$lookup($metrics, '{FINAL_TEST_ACCURACY.name}')"
    # Worded as SageMaker's own reports of model quality, so that its console shows it.
    found = f"$exists({accuracy}) ? {{'accuracy': {{'value': {accuracy}, 'standard_deviation': 'NaN'}}}} : {{}}"
    statistics = {"multiclass_classification_metrics": expr(found)}
    group = {
        "ModelPackageGroupName": facts.settings.prefix,
        "ModelPackageGroupDescription": f"What the executions of {facts.settings.prefix} trained",
        "Tags": [{"Key": f"{PROJECT}:stage", "Value": facts.settings.stage}],
    }
    exists = catch_all(STEP) | {"ErrorEquals": [SAGEMAKER_ERROR], "Next": _HAS_GROUP}
    return {
        START: put_object(STEP, facts.bucket, key, statistics, then=_GROUP),
        # Made by executions, not by the stack: it outlives the stack where the models do.
        _GROUP: task(
            STEP,
            "aws-sdk:sagemaker:createModelPackageGroup",
            group,
            then=STEP,
            retry=[RETRY_CONNECTION],
            catch=[exists],
        ),
        _HAS_GROUP: choice([("$contains($failure.cause, 'already exist')", STEP)], otherwise=FAILED),
        STEP: task(
            STEP,
            "aws-sdk:sagemaker:createModelPackage",
            _package(facts, f"'s3://{facts.bucket}/' & {key}"),
            then=then,
            assign={"package": expr("$states.result.ModelPackageArn")} | lock.unlocked(facts) | give_back.NOTHING,
            retry=[RETRY_AWS_SDK],
        ),
    }


def _package(facts: Facts, statistics_uri: str) -> dict[str, Any]:
    endpoint = facts.settings.endpoint
    return {
        "ModelPackageGroupName": facts.settings.prefix,
        # A request that is repeated because its answer got lost makes no second version.
        "ClientToken": expr("$run"),
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [{"Image": facts.image(gpu=endpoint.gpu), "ModelDataUrl": expr("$model_uri")}],
            "SupportedContentTypes": [*CONTENT_TYPES, JSON_TYPE],
            "SupportedResponseMIMETypes": [RESPONSE_TYPE],
            "SupportedRealtimeInferenceInstanceTypes": [endpoint.instance_type],
        },
        "ModelMetrics": {
            "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": expr(statistics_uri)}}
        },
        "CustomerMetadataProperties": expr(_properties(facts)),
    }


def _properties(facts: Facts) -> str:
    """Return a JSONata expression for what else is known of the model: short texts, all of them."""
    return f"""(
  $known := $merge([$metrics, {{
    'training_job_name': $training_job_name,
    'tuning_job_name': $tuning_job_name,
    'execution_arn': $states.context.Execution.Id,
    'output_uri': $output_uri,
    'source': $source,
    'fingerprint': $data.fingerprint,
    'source_revision': '{facts.source_revision}'
  }}]);
  $merge($each($known, function($value, $name) {{
    {{$name: $substring($replace($string($value), {_REFUSED}, '_'), 0, {_LONGEST_VALUE})}}
  }}))
)"""


def statements(scope: Construct, facts: Facts) -> list[iam.PolicyStatement]:
    """Return what keeping the stage's registry needs."""
    prefix = facts.settings.prefix
    group = arn(scope, "sagemaker", "model-package-group", prefix)
    packages = arn(scope, "sagemaker", "model-package", f"{prefix}/*")
    return [
        allow(["sagemaker:CreateModelPackageGroup"], [group], sid="RegistryGroup"),
        allow(["sagemaker:AddTags"], [group], sid="RegistryTags"),
        # Both resources are checked: which group, and which versions in it.
        allow(["sagemaker:CreateModelPackage"], [group, packages], sid="Register"),
        # The gate asks about the version in production.
        allow(["sagemaker:UpdateModelPackage", "sagemaker:DescribeModelPackage"], [packages], sid="Registry"),
    ]

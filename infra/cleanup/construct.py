"""The custom resources that clean up, their functions, and what these may do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aws_cdk import CustomResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IDependable

from infra.policies import allow, arn, remove_scaling
from infra.python_function import PythonFunction
from infra.settings import Settings

_HERE: Final = Path(__file__).parent
_TIMEOUT: Final = Duration.minutes(15)  # Lambda's own limit
_SHARED: Final = [
    _HERE.parent / "__init__.py",
    *(_HERE / name for name in ("__init__.py", "cloudformation.py", "kinds.py", "sweep.py")),
]
# The log groups that SageMaker's jobs of a whole account share.
_JOB_LOGS: Final = "/aws/sagemaker/TrainingJobs"
_DEBUGGER_LOGS: Final = "/aws/sagemaker/ProcessingJobs"


class Cleanup(Construct):
    """Removes, when its stack is deleted, what executions made outside CloudFormation."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        state_machine: sfn.StateMachine,
        before: Sequence[IDependable],
    ) -> None:
        """Run before the deletion of ``before``: what an execution in its last moments still needs."""
        super().__init__(scope, construct_id)
        groups = [_JOB_LOGS, *([_DEBUGGER_LOGS] if settings.debugger == "managed" else [])]
        removes_models = settings.removal == "destroy"
        function = PythonFunction(
            self,
            "CleanUp",
            handler=_HERE / "clean_up.py",
            modules=_SHARED,
            environment={},
            statements=[
                _own_stack(self),
                *_running(self, settings.prefix, state_machine),
                *_serving(self, settings.prefix),
                *(_registry(self, settings.prefix) if removes_models else ()),
                *_log_groups(self, settings.prefix, groups),
            ],
            timeout=_TIMEOUT,
        )
        resource = CustomResource(
            self,
            "Resource",
            service_token=function.function.function_arn,
            resource_type="Custom::PedigreeCleanup",
            properties={
                "Prefix": settings.prefix,
                "StateMachine": state_machine.state_machine_arn,
                "Registry": "delete" if removes_models else "keep",
                "PauseSeconds": settings.poll_seconds,
                "LogGroups": groups,
                "LogDays": settings.watch.log_days,
            },
        )
        # What was made first is deleted last.
        resource.node.add_dependency(*before)


class EmptyBuckets(Construct):
    """Empties buckets when their stack is deleted, so that they can be."""

    def __init__(self, scope: Construct, construct_id: str, *, name: str, buckets: Sequence[s3.Bucket]) -> None:
        super().__init__(scope, construct_id)
        arns = [bucket.bucket_arn for bucket in buckets]
        function = PythonFunction(
            self,
            "Empty",
            handler=_HERE / "empty_buckets.py",
            modules=_SHARED,
            environment={},
            statements=[
                _own_stack(self),
                allow(["s3:GetBucketPolicy", "s3:PutBucketPolicy"], arns, sid="RefuseWrites"),
                allow(["s3:ListBucketVersions"], arns, sid="Versions"),
                allow(["s3:DeleteObject", "s3:DeleteObjectVersion"], [f"{each}/*" for each in arns], sid="Delete"),
                allow(["s3:ListBucketMultipartUploads"], arns, sid="Uploads"),
                allow(["s3:AbortMultipartUpload"], [f"{each}/*" for each in arns], sid="AbortUpload"),
            ],
            timeout=_TIMEOUT,
        )
        resource = CustomResource(
            self,
            "Resource",
            service_token=function.function.function_arn,
            resource_type="Custom::PedigreeEmptyBuckets",
            properties={"Name": name, "Buckets": arns},
        )
        # With their policies: these must be there to be changed, and are deleted after that.
        resource.node.add_dependency(*buckets)


def _own_stack(scope: Construct) -> iam.PolicyStatement:
    return allow(["cloudformation:DescribeStacks"], [Stack.of(scope).stack_id], sid="OwnStack")


def _running(scope: Construct, prefix: str, state_machine: sfn.StateMachine) -> list[iam.PolicyStatement]:
    executions = arn(scope, "states", "execution", f"{state_machine.state_machine_name}:*", separator=":")
    tuning = arn(scope, "sagemaker", "hyper-parameter-tuning-job", f"{prefix}-*")
    training = arn(scope, "sagemaker", "training-job", f"{prefix}-*")
    return [
        allow(["states:ListExecutions"], [state_machine.state_machine_arn], sid="ListExecutions"),
        allow(["states:StopExecution"], [executions], sid="StopExecution"),
        allow(["sagemaker:ListHyperParameterTuningJobs"], ["*"], sid="ListTuning"),
        allow(["sagemaker:StopHyperParameterTuningJob"], [tuning], sid="StopTuning"),
        allow(["sagemaker:ListTrainingJobs"], ["*"], sid="ListTraining"),
        allow(["sagemaker:StopTrainingJob"], [training], sid="StopTraining"),
    ]


def _serving(scope: Construct, prefix: str) -> list[iam.PolicyStatement]:
    endpoints = [arn(scope, "sagemaker", "endpoint", name) for name in (prefix, f"{prefix}-*")]
    return [
        allow(["application-autoscaling:DescribeScalableTargets"], ["*"], sid="ListScaling"),
        remove_scaling(scope),
        allow(["sagemaker:ListEndpoints"], ["*"], sid="ListEndpoints"),
        allow(["sagemaker:DeleteEndpoint"], endpoints, sid="DeleteEndpoint"),
        allow(["sagemaker:ListEndpointConfigs"], ["*"], sid="ListConfigs"),
        allow(
            ["sagemaker:DeleteEndpointConfig"],
            [arn(scope, "sagemaker", "endpoint-config", f"{prefix}-*")],
            sid="DeleteConfig",
        ),
        allow(["sagemaker:ListModels"], ["*"], sid="ListModels"),
        allow(["sagemaker:DeleteModel"], [arn(scope, "sagemaker", "model", f"{prefix}-*")], sid="DeleteModel"),
    ]


def _registry(scope: Construct, prefix: str) -> list[iam.PolicyStatement]:
    group = arn(scope, "sagemaker", "model-package-group", prefix)
    packages = arn(scope, "sagemaker", "model-package", f"{prefix}/*")
    return [
        allow(["sagemaker:ListModelPackageGroups"], ["*"], sid="ListRegistry"),
        allow(["sagemaker:ListModelPackages"], [group], sid="ListPackages"),
        allow(["sagemaker:DeleteModelPackage"], [packages], sid="DeletePackage"),
        allow(["sagemaker:DeleteModelPackageGroup"], [group], sid="DeleteRegistry"),
    ]


def _log_groups(scope: Construct, prefix: str, shared: Sequence[str]) -> list[iam.PolicyStatement]:
    def arns(*names: str) -> list[str]:
        # With the ``:*`` at the end that CloudWatch Logs wants in policies.
        return [arn(scope, "logs", "log-group", f"{name}:*", separator=":") for name in names]

    endpoints = f"/aws/sagemaker/Endpoints/{prefix}"
    return [
        allow(["logs:DescribeLogGroups"], ["*"], sid="ListLogs"),
        allow(["logs:CreateLogGroup"], arns(*shared), sid="CreateLogs"),
        allow(["logs:PutRetentionPolicy"], arns(*shared), sid="LimitLogs"),
        allow(["logs:DeleteLogGroup"], arns(endpoints, f"{endpoints}-*"), sid="DeleteLogs"),
    ]

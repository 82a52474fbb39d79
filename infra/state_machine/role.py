"""What the state machine may do: start and watch this stage's jobs, change this stage's endpoint, keep its records."""

from typing import Any, Final

from aws_cdk import aws_iam as iam
from constructs import Construct

from contract.names import Prefix
from infra.policies import allow, arn, from_this_account, read_write, role
from infra.state_machine.facts import Facts
from infra.watch.tracing import log_delivery_statement, trace_statement

_PASSED_TO: Final[dict[str, Any]] = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
# A .sync task is told of the job's end by a rule that Step Functions makes and owns.
_MANAGED_RULES: Final = (
    "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    "StepFunctionsGetEventsForSageMakerTuningJobsRule",
)


def state_machine_role(scope: Construct, construct_id: str, *, facts: Facts, bucket_arn: str) -> iam.Role:
    """Return the role of the state machine that ``facts`` describes."""
    rules = [arn(scope, "events", "rule", rule) for rule in _MANAGED_RULES]
    return role(
        scope,
        construct_id,
        service="states.amazonaws.com",
        description="Pedigree's state machine",
        conditions=from_this_account(scope),
        statements=[
            *_jobs(scope, facts.settings.prefix),
            *_hosting(scope, facts.settings.prefix, facts.endpoint_name),
            *_records(bucket_arn),
            allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], rules, sid="JobEvents"),
            allow(["iam:PassRole"], [facts.job_role, facts.endpoint_role], sid="PassRoles", conditions=_PASSED_TO),
            allow(["lambda:InvokeFunction"], [facts.smoke_test], sid="SmokeTest"),
            trace_statement(),
            log_delivery_statement(),
        ],
    )


def _jobs(scope: Construct, prefix: str) -> list[iam.PolicyStatement]:
    training = arn(scope, "sagemaker", "training-job", f"{prefix}-*")
    tuning = arn(scope, "sagemaker", "hyper-parameter-tuning-job", f"{prefix}-*")
    return [
        allow(
            ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"],
            [training],
            sid="Training",
        ),
        allow(
            [
                "sagemaker:CreateHyperParameterTuningJob",
                "sagemaker:DescribeHyperParameterTuningJob",
                "sagemaker:StopHyperParameterTuningJob",
                "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
            ],
            [tuning],
            sid="Tuning",
        ),
        allow(["sagemaker:AddTags", "sagemaker:ListTags"], [training, tuning], sid="JobTags"),
    ]


def _hosting(scope: Construct, prefix: str, endpoint_name: str) -> list[iam.PolicyStatement]:
    model = arn(scope, "sagemaker", "model", f"{prefix}-*")
    config = arn(scope, "sagemaker", "endpoint-config", f"{prefix}-*")
    endpoint = arn(scope, "sagemaker", "endpoint", endpoint_name)
    return [
        allow(["sagemaker:CreateModel"], [model], sid="Model"),
        allow(["sagemaker:CreateEndpointConfig"], [config], sid="EndpointConfig"),
        # Both resources are checked: which endpoint, and with which configuration.
        allow(["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"], [endpoint, config], sid="EndpointChange"),
        allow(["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint"], [endpoint], sid="Endpoint"),
        allow(["sagemaker:AddTags"], [model, config, endpoint], sid="HostingTags"),
    ]


def _records(bucket_arn: str) -> list[iam.PolicyStatement]:
    """The small JSON files that executions leave for each other; never photos or models."""
    own = [
        f"{Prefix.PREPARED_INDEX}/*",
        f"{Prefix.RESUME}/*",
        f"{Prefix.PRODUCTION}/*",
    ]
    tuning = f"{Prefix.TUNING}/*"
    return [
        *read_write(bucket_arn, read=[*own, f"{Prefix.PREPARED}/*"], write=[*own, tuning], sid="Records"),
        allow(["s3:DeleteObject"], [f"{bucket_arn}/{Prefix.RESUME}/*"], sid="ForgetResume"),
    ]

"""Conditions are part of a permission: a role may be passed to the service that the policy names, and to no other."""

import json
import time
from typing import Any

import pytest

from tests.local_cloud.conftest import IMAGE, RunningCloud, allow

_TRAINING = ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"]


@pytest.mark.parametrize(
    ("service", "allowed"), [("sagemaker.amazonaws.com", True), ("lambda.amazonaws.com", False)], ids=["named", "other"]
)
def test_a_role_is_passed_to_the_named_service_only(cloud: RunningCloud, service: str, allowed: bool) -> None:
    name = f"passed-{service.partition('.')[0]}"
    job_role = cloud.role(f"{name}-job", "sagemaker.amazonaws.com", allow("s3:*"))
    condition = {"Condition": {"StringEquals": {"iam:PassedToService": service}}}
    machine_role = cloud.role(name, "states.amazonaws.com", allow(_TRAINING), {**allow("iam:PassRole"), **condition})
    job = {
        "TrainingJobName": name,
        "RoleArn": job_role,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://none/out"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    state = {"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createTrainingJob", "Arguments": job, "End": True}
    found = _run(cloud, name, machine_role, state)
    assert (found["status"] == "SUCCEEDED") is allowed, found
    if not allowed:
        assert f"not authorized to perform: iam:PassRole on resource: {job_role}" in found["cause"]


def _run(cloud: RunningCloud, name: str, role: str, state: dict[str, Any]) -> dict[str, Any]:
    states = cloud.client("stepfunctions")
    definition = {"QueryLanguage": "JSONata", "StartAt": "Task", "States": {"Task": state}}
    machine = states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)
    execution = states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
    while True:
        found: dict[str, Any] = states.describe_execution(executionArn=execution)
        if found["status"] != "RUNNING":
            return found
        time.sleep(0.1)

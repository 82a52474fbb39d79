from datetime import UTC, datetime
from typing import Any

import pytest

from local_cloud.sagemaker.errors import ServiceError
from local_cloud.sagemaker.training_request import check_job
from local_cloud.sagemaker.validation import checked
from tests.local_cloud.sagemaker.stand_in import channel, job_request


def refusal(operation: str, request: dict[str, Any]) -> str:
    with pytest.raises(ServiceError) as refused:
        checked(operation, request)
    assert refused.value.code == "ValidationException"
    return refused.value.message


def test_a_name_that_breaks_the_pattern_is_refused_in_awss_words() -> None:
    assert refusal("CreateTrainingJob", job_request("my_job", "")) == (
        "1 validation error detected: Value 'my_job' at 'trainingJobName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_a_tuning_job_name_has_at_most_32_characters() -> None:
    message = refusal("DescribeHyperParameterTuningJob", {"HyperParameterTuningJobName": "a" * 33})
    assert "Member must have length less than or equal to 32" in message


def test_all_violations_are_told_at_once_with_their_paths() -> None:
    request = job_request("fine", "")
    request["StoppingCondition"]["MaxRuntimeInSeconds"] = 0
    request["AlgorithmSpecification"]["TrainingInputMode"] = "Disk"
    request["InputDataConfig"] = [channel("pho tos", "s3://bucket/a")]
    # botocore itself refuses a value below the minimum, so that one comes alone.
    assert "MaxRuntimeInSeconds" in refusal("CreateTrainingJob", request)
    request["StoppingCondition"]["MaxRuntimeInSeconds"] = 60
    message = refusal("CreateTrainingJob", request)
    assert message.startswith("2 validation errors detected: ")
    assert "Value 'Disk' at 'algorithmSpecification.trainingInputMode'" in message
    assert "Member must satisfy enum value set: [Pipe, File, FastFile]" in message
    assert "Value 'pho tos' at 'inputDataConfig.1.member.channelName'" in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Colour": "red"}, 'Unknown parameter in input: "Colour"'),
        ({"RoleArn": 5}, "Invalid type for parameter RoleArn"),
        ({"OutputDataConfig": {}}, 'Missing required parameter in OutputDataConfig: "S3OutputPath"'),
        ({"RoleArn": "arn:aws:s3:::not-a-role-at-all"}, "'roleArn' failed to satisfy constraint"),
        ({"HyperParameters": {"a" * 257: "b"}}, "length less than or equal to 256"),
    ],
)
def test_requests_that_do_not_fit_the_model_are_refused(change: dict[str, Any], words: str) -> None:
    assert words in refusal("CreateTrainingJob", {**job_request("fine", ""), **change})


def test_an_unknown_operation_is_refused() -> None:
    with pytest.raises(ServiceError) as refused:
        checked("CreateDogs", {})
    assert refused.value.code == "UnknownOperationException"


def test_timestamps_become_datetimes() -> None:
    assert checked("ListTrainingJobs", {"CreationTimeAfter": 1.5}) == {
        "CreationTimeAfter": datetime.fromtimestamp(1.5, UTC)
    }


def test_tags_may_hold_letters_of_any_language() -> None:
    tag = {"Key": "Straße", "Value": "日本 +-=._:/@"}
    request = {"ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:model/a", "Tags": [tag]}
    assert checked("AddTags", request) == request


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"InputDataConfig": [channel("a", "s3://b/1"), channel("a", "s3://b/2")]}, "Channel names must be unique"),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds"),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "TrainingImage is required"),
        ({"AlgorithmSpecification": {"TrainingImage": "a", "TrainingInputMode": "Pipe"}}, "use File or FastFile"),
        (
            {"InputDataConfig": [channel("a", "s3://b/1") | {"InputMode": "Pipe"}]},
            "a: InputMode Pipe is offered on AWS",
        ),
        ({"InputDataConfig": [channel("a", "s3://b/1") | {"CompressionType": "Gzip"}]}, "is for Pipe mode"),
        ({"ResourceConfig": {"InstanceCount": 2}}, "InstanceCount must be 1"),
        ({"OutputDataConfig": {"S3OutputPath": "https://bucket/a"}}, "no S3 URI"),
    ],
)
def test_what_the_model_cannot_say_is_checked_too(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ServiceError, match=words):
        check_job({**job_request("fine", ""), **change})


def test_a_metric_expression_that_does_not_compile_is_refused() -> None:
    request = job_request("fine", "")
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=("}]
    with pytest.raises(ServiceError, match="Invalid metric regex"):
        check_job(request)

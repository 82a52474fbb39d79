"""Log groups, metrics, and the log lines of those who may not write any."""

import io
import ssl
import time
import zipfile
from collections.abc import Callable

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.adapter.conftest import Actor
from tests.local_cloud.conftest import IMAGE, RunningCloud, allow

Act = Callable[..., Actor]
_WRITE = ["logs:CreateLogStream", "logs:PutLogEvents"]
_GROUPS = "arn:aws:logs:us-east-1:000000000000:log-group"


def test_streams_are_checked_below_their_group(act: Act, cloud: RunningCloud) -> None:
    cloud.client("logs").create_log_group(logGroupName="below")
    act(allow(_WRITE, f"{_GROUPS}:below:*")).client("logs").create_log_stream(logGroupName="below", logStreamName="a")


def test_the_plain_name_of_a_group_allows_nothing_below_it(act: Act, cloud: RunningCloud) -> None:
    cloud.client("logs").create_log_group(logGroupName="plain")
    logs = act(allow(_WRITE, f"{_GROUPS}:plain")).client("logs")
    with pytest.raises(ClientError, match=r"on resource: \S+:log-group:plain:log-stream:a"):
        logs.create_log_stream(logGroupName="plain", logStreamName="a")


def test_metrics_are_limited_by_their_namespace(act: Act) -> None:
    condition = {"Condition": {"StringEquals": {"cloudwatch:namespace": "Ours"}}}
    actor = act({**allow("cloudwatch:PutMetricData"), **condition})
    metrics, data = actor.client("cloudwatch"), [{"MetricName": "m", "Value": 1}]
    metrics.put_metric_data(Namespace="Ours", MetricData=data)
    with pytest.raises(ClientError, match="cloudwatch:PutMetricData"):
        metrics.put_metric_data(Namespace="Theirs", MetricData=data)


def _invoke(cloud: RunningCloud, name: str, *permissions: str) -> list[str]:
    """Return the log lines of a function whose role has the permissions."""
    role = cloud.role(name, "lambda.amazonaws.com", allow(["s3:GetObject", *permissions]))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("handler.py", "def handle(event, context):\n    print('hello')\n")
    functions, logs = cloud.client("lambda"), cloud.client("logs")
    functions.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role,
        Handler="handler.handle",
        Code={"ZipFile": archive.getvalue()},
    )
    logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
    answer = functions.invoke(FunctionName=name)
    assert "FunctionError" not in answer
    return _lines(cloud, name)


def _lines(cloud: RunningCloud, name: str) -> list[str]:
    found = cloud.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")
    return [event["message"] for event in found["events"]]


def test_a_function_that_may_write_logs_writes_them(cloud: RunningCloud) -> None:
    assert "hello" in "".join(_invoke(cloud, "talkative", *_WRITE))


@pytest.mark.parametrize("permission", _WRITE)
def test_the_lines_of_a_function_that_may_not_are_lost(cloud: RunningCloud, permission: str) -> None:
    assert _invoke(cloud, f"silent-{permission[5:8].lower()}", permission) == []


def soon(look: Callable[[], object], seconds: float = 20) -> bool:
    """Return whether ``look`` finds something in time."""
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return bool(found)


def _train(cloud: RunningCloud, name: str, role: str) -> None:
    """Run a training job to its end, in a bucket of its name."""
    sagemaker = cloud.client("sagemaker")
    cloud.client("s3").create_bucket(Bucket=name)
    sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=role,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        OutputDataConfig={"S3OutputPath": f"s3://{name}/out"},
        ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    while sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress":
        time.sleep(0.1)
    assert sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize("allowed", [True, False])
def test_the_lines_of_a_job_are_written_with_its_role(cloud: RunningCloud, allowed: bool) -> None:
    name = f"logs-{'kept' if allowed else 'lost'}"
    written = ["logs:CreateLogGroup", "logs:DescribeLogStreams", *_WRITE] if allowed else ["logs:CreateLogGroup"]
    role = cloud.role(name, "sagemaker.amazonaws.com", allow(["s3:*", *written]))
    logs = cloud.client("logs")
    _train(cloud, name, role)

    def streams() -> list[str]:
        groups = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/TrainingJobs")["logGroups"]
        return [
            stream["logStreamName"]
            for group in groups
            for stream in logs.describe_log_streams(logGroupName=group["logGroupName"], logStreamNamePrefix=name)[
                "logStreams"
            ]
        ]

    # A job's lines are stored before it is seen to have ended.
    assert bool(streams()) is allowed


def test_the_log_group_of_a_deleted_endpoint_does_not_come_back(cloud: RunningCloud) -> None:
    role = cloud.role("silenced", "sagemaker.amazonaws.com", allow(["s3:*", "logs:*"]))
    sagemaker, logs, group = cloud.client("sagemaker"), cloud.client("logs"), "/aws/sagemaker/Endpoints/silenced"
    sagemaker.create_model(ModelName="silenced", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=role)
    variant = {"VariantName": "v", "ModelName": "silenced", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="silenced", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="silenced", EndpointConfigName="silenced")
    assert soon(lambda: sagemaker.describe_endpoint(EndpointName="silenced")["EndpointStatus"] == "InService")

    # The server writes a line for each request.
    for _ in range(5):
        cloud.client("sagemaker-runtime").invoke_endpoint(EndpointName="silenced", Body=b"photo")
    sagemaker.delete_endpoint(EndpointName="silenced")
    events = logs.filter_log_events(logGroupName=group)["events"]
    assert sum("POST /invocations" in event["message"] for event in events) == 5
    logs.delete_log_group(logGroupName=group)
    _train(cloud, "silenced", role)  # whose lines are stored together with all that are left
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []


def test_a_function_that_is_asked_without_credentials_writes_its_lines_as_well(
    cloud: RunningCloud, request: pytest.FixtureRequest
) -> None:
    name = "behind-the-api"
    _invoke(cloud, name, *_WRITE)
    api, functions = cloud.client("apigateway"), cloud.client("lambda")
    made = api.create_rest_api(name=name)["id"]
    request.addfinalizer(lambda: api.delete_rest_api(restApiId=made))  # the short address means the newest API
    (root,) = api.get_resources(restApiId=made)["items"]
    api.put_method(restApiId=made, resourceId=root["id"], httpMethod="POST", authorizationType="NONE")
    function = functions.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"
    api.put_integration(
        restApiId=made,
        resourceId=root["id"],
        httpMethod="POST",
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=uri,
    )
    api.create_deployment(restApiId=made, stageName="v1")
    functions.add_permission(
        FunctionName=name, StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    tls = ssl.create_default_context(cafile=cloud.connection["ca_bundle"])
    before = len(_lines(cloud, name))
    for _ in range(3):
        url = f"{cloud.connection['endpoint']}/restapis/{made}/v1/_user_request_/"
        httpx.post(url, verify=tls, trust_env=False)
    assert soon(lambda: "".join(_lines(cloud, name)[before:]).count("hello") == 3)

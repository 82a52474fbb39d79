"""Things for a cleanup to find: each permission to delete or stop needs something to delete or stop."""

import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contract.names import VARIANT, Prefix
from tests.iam.live import Subject
from tests.iam.recording import Recording

Recordings = Sequence[Recording]

_SECONDS = 60.0
_numbers = itertools.count(1)


def plant(subject: Subject, recordings: Recordings, actions: tuple[str, ...]) -> None:
    """Make, as the account's administrator, what the actions of a statement would take away."""
    for action in actions:
        if action in _SEEDS:
            _SEEDS[action](subject, recordings)


def _name(subject: Subject) -> str:
    return f"{subject.stage.prefix}-seed{next(_numbers)}"


def _given(recordings: Recordings, operation: str, **names: str) -> dict[str, Any]:
    """Return what an operation was called with, under other names."""
    given = next(each.parameters(operation) for each in reversed(recordings) if each.has_called(operation))
    return {**_whole(given), **names}


def _whole(value: Any) -> Any:
    """Return JSON with whole numbers where JSONata wrote 1.0."""
    if isinstance(value, Mapping):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _execution(subject: Subject, recordings: Recordings) -> None:
    subject.stage.start(f"seed-{time.time_ns()}", source="toy", trials=1, seed=next(_numbers) + 1000)


def _training(subject: Subject, recordings: Recordings) -> None:
    given = _given(recordings, "createTrainingJob", TrainingJobName=_name(subject))
    given.pop("CheckpointConfig", None)
    subject.stage.client("sagemaker").create_training_job(**given)


def _tuning(subject: Subject, recordings: Recordings) -> None:
    given = _given(recordings, "createHyperParameterTuningJob", HyperParameterTuningJobName=_name(subject)[:32])
    subject.stage.client("sagemaker").create_hyper_parameter_tuning_job(**given)


def _model(subject: Subject, recordings: Recordings) -> str:
    name = _name(subject)
    subject.stage.client("sagemaker").create_model(**_given(recordings, "createModel", ModelName=name))
    return name


def _config(subject: Subject, recordings: Recordings) -> str:
    name = _model(subject, recordings)
    given = _given(recordings, "createEndpointConfig", EndpointConfigName=name)
    variants = [{**variant, "ModelName": name} for variant in given["ProductionVariants"]]
    subject.stage.client("sagemaker").create_endpoint_config(**{**given, "ProductionVariants": variants})
    return name


def _endpoint(subject: Subject, recordings: Recordings) -> str:
    name = _config(subject, recordings)
    _create_endpoint(subject, EndpointName=name, EndpointConfigName=name)
    return name


def _create_endpoint(subject: Subject, **given: Any) -> None:
    sagemaker = subject.stage.client("sagemaker")
    sagemaker.create_endpoint(**given)
    deadline = time.monotonic() + _SECONDS
    while sagemaker.describe_endpoint(EndpointName=given["EndpointName"])["EndpointStatus"] == "Creating":
        assert time.monotonic() < deadline, f"{given['EndpointName']} is not made"
        time.sleep(0.3)


def _target(subject: Subject, recordings: Recordings) -> None:
    _register(subject, _endpoint(subject, recordings))


def _register(subject: Subject, endpoint: str) -> None:
    subject.stage.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=f"endpoint/{endpoint}/variant/{VARIANT}",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=2,
    )


def production_endpoint(subject: Subject, recordings: Recordings) -> dict[str, Any]:
    """Return the description of the stage's endpoint, made anew where it is gone, and scaled in any case."""
    sagemaker = subject.stage.client("sagemaker")
    if subject.stage.prefix not in [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]]:
        given = _given(recordings, "createEndpoint")
        _create_endpoint(subject, EndpointName=subject.stage.prefix, EndpointConfigName=given["EndpointConfigName"])
    _register(subject, subject.stage.prefix)
    described: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=subject.stage.prefix)
    return described


def _group(subject: Subject, recordings: Recordings) -> None:
    sagemaker = subject.stage.client("sagemaker")
    groups = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    if subject.stage.prefix not in [group["ModelPackageGroupName"] for group in groups]:
        sagemaker.create_model_package_group(ModelPackageGroupName=subject.stage.prefix)


def _package(subject: Subject, recordings: Recordings) -> None:
    _group(subject, recordings)
    subject.stage.client("sagemaker").create_model_package(**_given(recordings, "createModelPackage"))


def _log_group(subject: Subject, recordings: Recordings) -> None:
    name = f"/aws/sagemaker/Endpoints/{_name(subject)}"
    subject.stage.client("logs").create_log_group(logGroupName=name)


def _no_shared_log_group(subject: Subject, recordings: Recordings) -> None:
    logs = subject.stage.client("logs")
    for group in logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/TrainingJobs")["logGroups"]:
        logs.delete_log_group(logGroupName=group["logGroupName"])


def no_shared_log_group(subject: Subject) -> None:
    """Delete the log group of all training jobs, as somebody who tidies up may do."""
    _no_shared_log_group(subject, [])


def held_lock(subject: Subject) -> None:
    """Leave the lock of an execution that did not live to release it."""
    (bucket,) = [name for name in subject.buckets() if "log" not in name]
    ended = subject.states.list_executions(stateMachineArn=subject.machine)["executions"][0]["executionArn"]
    body = json.dumps({"execution_arn": ended, "run": "0" * 9, "taken_at": ""})
    subject.stage.client("s3").put_object(Bucket=bucket, Key=f"{Prefix.LOCKS}/deploy.json", Body=body.encode())


def broken_endpoint(subject: Subject, recordings: Recordings) -> None:
    """Put an endpoint that failed in the place of the stage's own."""
    sagemaker, name = subject.stage.client("sagemaker"), _name(subject)
    given = _given(recordings, "createModel", ModelName=name)
    container = {**given["PrimaryContainer"], "ModelDataUrl": f"s3://{subject.buckets()[0]}/none/model.tar.gz"}
    sagemaker.create_model(**{**given, "PrimaryContainer": container})
    given = _given(recordings, "createEndpointConfig", EndpointConfigName=name)
    variants = [{**variant, "ModelName": name} for variant in given["ProductionVariants"]]
    sagemaker.create_endpoint_config(**{**given, "ProductionVariants": variants})
    sagemaker.delete_endpoint(EndpointName=subject.stage.prefix)
    while subject.stage.prefix in [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]]:
        time.sleep(0.3)
    _create_endpoint(subject, EndpointName=subject.stage.prefix, EndpointConfigName=name)


def _let_write(subject: Subject, bucket: str) -> None:
    """Take back what a cleanup that began has put into the bucket's policy."""
    s3 = subject.stage.client("s3")
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    policy["Statement"] = [each for each in policy["Statement"] if each["Action"] != "s3:PutObject"]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def _objects(subject: Subject, recordings: Recordings) -> None:
    s3 = subject.stage.client("s3")
    for bucket in subject.buckets():
        _let_write(subject, bucket)
        for _ in range(2):
            s3.put_object(Bucket=bucket, Key="seed", Body=b"")
        s3.delete_object(Bucket=bucket, Key="seed")
        s3.put_object(Bucket=bucket, Key="kept", Body=b"")  # without versions, that one is gone


def _upload(subject: Subject, recordings: Recordings) -> None:
    for bucket in subject.buckets():
        _let_write(subject, bucket)
        subject.stage.client("s3").create_multipart_upload(Bucket=bucket, Key="seed")


_SEEDS: dict[str, Callable[[Subject, Recordings], Any]] = {
    "states:StopExecution": _execution,
    "sagemaker:StopTrainingJob": _training,
    "sagemaker:StopHyperParameterTuningJob": _tuning,
    "application-autoscaling:DeregisterScalableTarget": _target,
    "sagemaker:DeleteEndpoint": _endpoint,
    "sagemaker:DeleteEndpointConfig": _config,
    "sagemaker:DeleteModel": _model,
    "sagemaker:ListModelPackages": _group,
    "sagemaker:DeleteModelPackage": _package,
    "sagemaker:DeleteModelPackageGroup": _group,
    "logs:DeleteLogGroup": _log_group,
    "logs:CreateLogGroup": _no_shared_log_group,
    "logs:PutRetentionPolicy": _no_shared_log_group,
    "s3:DeleteObject": _objects,
    "s3:DeleteObjectVersion": _objects,
    "s3:ListBucketMultipartUploads": _upload,
    "s3:AbortMultipartUpload": _upload,
}

"""Task states that call AWS: SageMaker's own integrations and the generic aws-sdk ones, under the machine's role.

Knows Step Functions' conventions, and nothing of the emulator that runs the state machine.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from local_cloud.sdk_calls import AWS_SDK, OPTIMIZED, CallError, RoleCalls

_logger = logging.getLogger(__name__)
_SAGEMAKER: Final = "arn:aws:states:::sagemaker:"
_AWS_SDK: Final = "arn:aws:states:::aws-sdk:"
_LAMBDA_INVOKE: Final = "arn:aws:states:::lambda:invoke"


@dataclass(frozen=True)
class Job:
    """A kind of job that ``.sync`` waits for."""

    describe: str
    stop: str
    name: str
    status: str


_JOBS: Final = {
    "createTrainingJob": Job("describeTrainingJob", "stopTrainingJob", "TrainingJobName", "TrainingJobStatus"),
    "createHyperParameterTuningJob": Job(
        "describeHyperParameterTuningJob",
        "stopHyperParameterTuningJob",
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobStatus",
    ),
    "createTransformJob": Job("describeTransformJob", "stopTransformJob", "TransformJobName", "TransformJobStatus"),
}
# The integrations that AWS offers and this project's SageMaker can carry out.
_PLAIN: Final = ("createModel", "createEndpointConfig", "createEndpoint", "updateEndpoint", *_JOBS)
_ENDED: Final = ("Completed", "Failed", "Stopped")


class ExecutionEndedError(SystemExit):
    """The execution was stopped while a task of it ran; ends the execution's thread, past every Retry and Catch."""


@dataclass(frozen=True)
class Task:
    """One attempt of one Task state.

    Attributes:
        resource: The state's Resource.
        role_arn: The role of the state machine.
        running: Whether the execution still runs.
        submitted: Told once what a job's creation returned, for the execution's history.
        deadline: When the state times out, on the monotonic clock; infinite where it does not.
    """

    resource: str
    role_arn: str
    running: Callable[[], bool]
    submitted: Callable[[dict[str, Any]], None]
    deadline: float = float("inf")


def parse_resource(resource: str) -> tuple[str, str] | None:
    """Return (service, operation) of a resource that is carried out here; None for all others."""
    if resource.startswith(_SAGEMAKER):
        return "sagemaker", resource.removeprefix(_SAGEMAKER)
    if resource.startswith(_AWS_SDK):
        service, _, operation = resource.removeprefix(_AWS_SDK).partition(":")
        return service, operation
    return None


def run_task(calls: RoleCalls, task: Task, arguments: Any, poll_seconds: float) -> Any:
    """Carry out one task and return its result.

    Raises:
        CallError: it failed; the name is the one that Retry and Catch look for.
        ExecutionEndedError: the execution was stopped meanwhile, and the job with it.
    """
    parsed = parse_resource(task.resource)
    if parsed is None:
        raise CallError("States.Runtime", f"{task.resource} is not carried out here")
    service, operation = parsed
    if task.resource.startswith(_AWS_SDK):
        return calls.call(task.role_arn, service, operation, arguments, AWS_SDK)
    name, _, pattern = operation.partition(".")
    if name not in _PLAIN or (pattern and (pattern != "sync" or name not in _JOBS)):
        raise CallError(
            "States.Runtime", f"{task.resource} is no SageMaker integration of Step Functions that is offered here"
        )
    created = calls.call(task.role_arn, service, name, arguments, OPTIMIZED)
    if not pattern:
        return created
    task.submitted(created)
    return _wait(calls, task, _JOBS[name], arguments[_JOBS[name].name], poll_seconds)


def _wait(calls: RoleCalls, task: Task, job: Job, name: str, poll_seconds: float) -> dict[str, Any]:
    """Poll a job until it ends; a job whose execution or state ends first is stopped."""
    while True:
        described: dict[str, Any] = calls.call(task.role_arn, "sagemaker", job.describe, {job.name: name}, OPTIMIZED)
        if described[job.status] == "Completed":
            return described
        if described[job.status] in _ENDED:
            raise CallError("States.TaskFailed", json.dumps(described))
        # AWS learns of a job's end from an event; so short an interval that nobody sees the difference.
        wake = time.monotonic() + poll_seconds
        while time.monotonic() < wake:
            if not task.running() or time.monotonic() >= task.deadline:
                _stop(calls, task, job, name)
                if task.running():
                    raise CallError("States.Timeout", f"{name} ran longer than the state's TimeoutSeconds")
                raise ExecutionEndedError
            time.sleep(min(0.1, poll_seconds))


def _stop(calls: RoleCalls, task: Task, job: Job, name: str) -> None:
    try:
        calls.call(task.role_arn, "sagemaker", job.stop, {job.name: name}, OPTIMIZED)
    except CallError as error:
        # As on AWS: without the permission the job runs on. One that has just ended refuses too, and rightly.
        _logger.warning("%s was not stopped: %s", name, error)


def lambda_arn(arguments: Any, region: str, account: str) -> str:
    """Return the ARN that a ``lambda:invoke`` task needs permission for."""
    name = str(arguments.get("FunctionName", "")) if isinstance(arguments, dict) else ""
    if name.startswith("arn:"):
        return name
    return f"arn:aws:lambda:{region}:{account}:function:{name.rpartition('function:')[2]}"


def is_lambda_invoke(resource: str) -> bool:
    """Whether the resource is the optimized integration that invokes a function."""
    return resource.startswith(_LAMBDA_INVOKE)

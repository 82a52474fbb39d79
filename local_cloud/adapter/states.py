"""Step Functions: Task states act under the state machine's role, and reach SageMaker and every aws-sdk operation."""

import contextvars
import functools
import json
import time
from collections.abc import Callable
from typing import Any, Final

from local_cloud.adapter.identities import AccessDeniedError, AssumeRoleError, require_permission
from local_cloud.sdk_calls import CallError, RoleCalls
from local_cloud.settings import ACCOUNT, REGION
from local_cloud.workflow import ExecutionEndedError, Task, is_lambda_invoke, lambda_arn, parse_resource, run_task

# MiniStack hands a task's resource and arguments down without the execution; the two meet again through this.
_current: contextvars.ContextVar[Task] = contextvars.ContextVar("current task")
_scheduled: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("event of the scheduled task")
# What the state that runs has assigned so far: an execution is one thread.
_assigned: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("assigned variables")
# Step Functions' quota for the input or result of a task.
_MAX_PAYLOAD: Final = 262_144
# The rules of .sync integrations, as AWS documents them for the state machine's policy.
_MANAGED_RULES: Final = {
    "sagemaker:createTrainingJob.sync": "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    "sagemaker:createHyperParameterTuningJob.sync": "StepFunctionsGetEventsForSageMakerTuningJobsRule",
    "sagemaker:createTransformJob.sync": "StepFunctionsGetEventsForSageMakerTransformJobsRule",
}


def install(calls: RoleCalls, poll_seconds: float) -> None:
    """Carry out Task states through ``calls``; jobs that a state waits for are looked at every ``poll_seconds``."""
    from ministack.services import stepfunctions

    _install_tasks(stepfunctions)
    _install_history(stepfunctions)
    plain = stepfunctions._invoke_resource

    @functools.wraps(plain)
    def invoke_resource(resource: str, arguments: Any) -> Any:
        task = _current.get(None)
        if task is None:  # TestState runs a state without an execution
            return plain(resource, arguments)
        _describe_scheduled(resource, arguments)
        try:
            if is_lambda_invoke(resource):
                require_permission(
                    calls.access_key(task.role_arn), "lambda:InvokeFunction", lambda_arn(arguments, REGION, ACCOUNT)
                )
            if resource.endswith(".sync"):
                _require_managed_rule(calls, task)
            if parse_resource(resource) is None:
                return plain(resource, arguments)
            return _small_enough(run_task(calls, task, arguments, poll_seconds))
        except (CallError, AccessDeniedError, AssumeRoleError) as error:
            if not task.running():  # stopped meanwhile; a failure now would overwrite that
                raise ExecutionEndedError from error
            raise stepfunctions._ExecutionError(*_error_and_cause(error, task)) from error

    stepfunctions._invoke_resource = invoke_resource


def _error_and_cause(error: Exception, task: Task) -> tuple[str, str]:
    if isinstance(error, CallError):
        return error.error, error.cause
    if isinstance(error, AssumeRoleError):
        return "States.TaskFailed", f"The role {task.role_arn} cannot be assumed by Step Functions: {error}"
    return "Lambda.AWSLambdaException", f"{error} (Service: AWSLambda, Status Code: 403)"


def _small_enough(result: Any) -> Any:
    """Return a task's result, unless a state machine on AWS could not take it."""
    if len(json.dumps(result).encode()) > _MAX_PAYLOAD:
        raise CallError(
            "States.DataLimitExceeded",
            f"The task's result exceeds the maximum number of bytes service limit ({_MAX_PAYLOAD}).",
        )
    return result


def _require_managed_rule(calls: RoleCalls, task: Task) -> None:
    """Make sure that the role may have the EventBridge rule by which AWS learns of a job's end."""
    rule = _MANAGED_RULES.get(task.resource.removeprefix("arn:aws:states:::"))
    if rule is None:
        return
    for action in ("events:PutTargets", "events:PutRule", "events:DescribeRule"):
        try:
            require_permission(
                calls.access_key(task.role_arn), action, f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule}"
            )
        except AccessDeniedError as error:
            raise CallError(
                "States.Runtime",
                f"'{task.role_arn}' is not authorized to create managed-rule (AWS refuses such a state machine when it "
                f"is created): {error}",
            ) from error


def _install_tasks(stepfunctions: Any) -> None:
    """Remember, while a Task state runs, for whom and until when."""
    plain: Callable[..., Any] = stepfunctions._execute_task
    invoke_with_timeout: Callable[..., Any] = stepfunctions._invoke_resource_with_timeout

    @functools.wraps(plain)
    def execute_task(state: dict[str, Any], raw_input: Any, execution: dict[str, Any], context: Any) -> Any:
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) or {}

        def running() -> bool:
            return bool(execution["status"] == "RUNNING")

        def submitted(output: dict[str, Any]) -> None:
            service, operation = _type_and_operation(task.resource)
            details = {"resourceType": service, "resource": operation}
            stepfunctions._add_event(execution, "TaskStarted", {"taskStartedEventDetails": details})
            details = {**details, "output": json.dumps(output)}
            stepfunctions._add_event(execution, "TaskSubmitted", {"taskSubmittedEventDetails": details})

        task = Task(str(state.get("Resource", "")), machine.get("roleArn", ""), running, submitted)
        token = _current.set(task)
        try:
            return plain(state, raw_input, execution, context)
        finally:
            _current.reset(token)

    @functools.wraps(invoke_with_timeout)
    def invoke_resource_with_timeout(resource: str, arguments: Any, timeout: float) -> Any:
        task = _current.get(None)
        if task is not None and parse_resource(resource) is not None:
            # MiniStack would leave the call running behind; ours end by themselves, and stop their job.
            deadline = time.monotonic() + float(timeout)
            timed = Task(task.resource, task.role_arn, task.running, task.submitted, deadline)
            token = _current.set(timed)
            try:
                return stepfunctions._invoke_resource(resource, arguments)
            finally:
                _current.reset(token)
        return invoke_with_timeout(resource, arguments, timeout)

    stepfunctions._execute_task = execute_task
    stepfunctions._invoke_resource_with_timeout = invoke_resource_with_timeout


def _install_history(stepfunctions: Any) -> None:
    """Word the history's events as AWS does: resource type, operation, arguments, assigned variables."""
    plain: Callable[..., Any] = stepfunctions._add_event
    assign: Callable[..., None] = stepfunctions._apply_state_assign

    @functools.wraps(assign)
    def apply_state_assign(state: dict[str, Any], raw_input: Any, context: Any, *rest: Any, **options: Any) -> None:
        assign(state, raw_input, context, *rest, **options)
        names = state.get("Assign") or {}
        values = (context or {}).get("variables", {})
        _assigned.set({**_assigned.get({}), **{name: json.dumps(values[name]) for name in names if name in values}})

    @functools.wraps(plain)
    def add_event(execution: dict[str, Any], kind: str, details: dict[str, Any] | None = None) -> Any:
        if kind.startswith("Task") and details:
            for found in details.values():
                if isinstance(found, dict) and str(found.get("resource", "")).startswith("arn:aws:states:::"):
                    found["resourceType"], found["resource"] = _type_and_operation(found["resource"])
        if kind.endswith("StateEntered"):
            _assigned.set({})
        if kind.endswith("StateExited") and details and _assigned.get({}):
            details["stateExitedEventDetails"]["assignedVariables"] = _assigned.get()
        event = plain(execution, kind, details)
        if kind == "TaskScheduled":
            _scheduled.set(event)
        return event

    stepfunctions._add_event = add_event
    stepfunctions._apply_state_assign = apply_state_assign


def _describe_scheduled(resource: str, arguments: Any) -> None:
    event = _scheduled.get(None)
    if event is not None and "taskScheduledEventDetails" in event:
        event["taskScheduledEventDetails"].update(region=REGION, parameters=json.dumps(arguments))


def _type_and_operation(resource: str) -> tuple[str, str]:
    """Return (``sagemaker``, ``createTrainingJob.sync``) of a resource."""
    service, _, operation = resource.removeprefix("arn:aws:states:::").rpartition(":")
    return service, operation

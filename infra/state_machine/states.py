"""The shapes of states: every task catches every error, names its step, and keeps only what it assigns."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from contract.names import Step

State = dict[str, Any]
States = dict[str, State]

FAILED: Final = "Failed"
# Where a step fails that may hold something which has to be given back first, see give_back.py.
GIVE_BACK: Final = f"{FAILED}: what is to be given back"
_HOLDING: Final = (Step.GATE, Step.DEPLOY, Step.SMOKE_TEST)
# Step Functions names an aws-sdk error after the Java SDK's exception class.
NO_SUCH_KEY: Final = "S3.NoSuchKeyException"
# S3's errors without a class of their own: PreconditionFailed, ConditionalRequestConflict, AccessDenied, SlowDown.
S3_ERROR: Final = "S3.S3Exception"
NO_EXECUTION: Final = "Sfn.ExecutionDoesNotExistException"
# Statuses of an execution that may still go on; one that was stopped and is redriven is RUNNING again.
RUNNING: Final = "['RUNNING', 'PENDING_REDRIVE']"
# Errors without a class of their own (ValidationException is one) carry the service's base class.
SAGEMAKER_ERROR: Final = "SageMaker.SageMakerException"
# What a FailureReason may say; more would only hide the Fail state's own limit of 32,768 characters.
_CAUSE_CHARACTERS: Final = 4000

# A failed .sync job's cause is its description as JSON, a Lambda's is its exception as JSON, others are plain text.
CAUSE: Final = f"""(
  $raw := $exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : '';
  $about := $substring($raw, 0, 1) = '{{' and $substring($raw, -1) = '}}' ? $parse($raw) : {{}};
  $stopped := $about.TrainingJobStatus = 'Stopped' or $about.HyperParameterTuningJobStatus = 'Stopped';
  $reasons := [
    $about.FailureReason,
    $about.errorMessage,
    $stopped ? 'the job was stopped (' & ($exists($about.SecondaryStatus) ? $about.SecondaryStatus : 'Stopped') & ')',
    $states.errorOutput.Error & ($raw = '' ? '' : ': ' & $raw)
  ];
  $substring($reasons[0], 0, {_CAUSE_CHARACTERS})
)"""


def expr(code: str) -> str:
    """Mark text as a JSONata expression."""
    return f"{{% {code} %}}"


def state_name(step: Step, detail: str = "") -> str:
    """Return the name of a state, by which people and the console see the step."""
    return f"{step}: {detail}" if detail else str(step)


def failed(step: Step) -> str:
    """Return the state in which a failure of a step goes on."""
    return GIVE_BACK if step in _HOLDING else FAILED


def failure(step: Step, cause: str) -> dict[str, Any]:
    """Return what must be assigned before going to ``failed(step)``; ``cause`` is a JSONata expression."""
    return {"failure": {"step": str(step), "cause": expr(cause)}}


def catch_all(step: Step) -> State:
    """Return the catcher that every task ends its list with."""
    return {"ErrorEquals": ["States.ALL"], "Assign": failure(step, CAUSE), "Next": failed(step)}


def task(
    step: Step,
    resource: str,
    arguments: Mapping[str, Any],
    *,
    then: str,
    assign: Mapping[str, Any] | None = None,
    retry: Sequence[State] = (),
    catch: Sequence[State] = (),
) -> State:
    """Return a task; what it answers is dropped but for what ``assign`` names."""
    state: State = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Arguments": dict(arguments)}
    if assign:
        state["Assign"] = dict(assign)
    if retry:
        state["Retry"] = list(retry)
    return state | {"Output": {}, "Catch": [*catch, catch_all(step)], "Next": then}


def choice(rules: Sequence[tuple[str, str] | tuple[str, str, Mapping[str, Any]]], *, otherwise: str) -> State:
    """Return a choice of (condition, next state, what to assign on the way)."""
    choices: list[State] = []
    for condition, then, *assign in rules:
        rule: State = {"Condition": expr(condition), "Next": then}
        choices.append(rule | {"Assign": dict(assign[0])} if assign else rule)
    return {"Type": "Choice", "Choices": choices, "Default": otherwise}


def assign(variables: Mapping[str, Any], *, then: str) -> State:
    """Return a state that only sets variables."""
    return {"Type": "Pass", "Assign": dict(variables), "Output": {}, "Next": then}


def get_object(step: Step, bucket: str, key: str, *, then: str, assign: Mapping[str, Any], missing: str = "") -> State:
    """Return a task that reads a JSON object; ``missing`` is where to go when there is none.

    In ``assign``, ``$parse($states.result.Body)`` is the object; ``key`` is a JSONata expression.
    """
    absent = [{"ErrorEquals": [NO_SUCH_KEY], "Next": missing}] if missing else []
    arguments = {"Bucket": bucket, "Key": expr(key)}
    return task(step, "aws-sdk:s3:getObject", arguments, then=then, assign=assign, catch=absent)


def json_object(bucket: str, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a task that writes a JSON object; ``key`` is a JSONata expression.

    The body is given as an object: Step Functions would write a string with quotes around it.
    """
    return {"Bucket": bucket, "Key": expr(key), "ContentType": "application/json", "Body": dict(body)}


def put_object(step: Step, bucket: str, key: str, body: Mapping[str, Any], *, then: str) -> State:
    """Return a task that writes a JSON object; ``key`` is a JSONata expression."""
    return task(step, "aws-sdk:s3:putObject", json_object(bucket, key, body), then=then)


def fail_state() -> State:
    """Return the one state in which every failure ends."""
    return {
        "Type": "Fail",
        "Error": expr("'Pedigree.' & $failure.step"),
        "Cause": expr("$failure.step & ': ' & $failure.cause"),
    }


def assemble(start: str, *parts: States) -> dict[str, Any]:
    """Return the definition made of all steps' states.

    Raises:
        ValueError: two states share a name or a transition leads nowhere.
    """
    states: States = {FAILED: fail_state()}
    for part in parts:
        twice = states.keys() & part.keys()
        if twice:
            raise ValueError(f"several states are called {', '.join(sorted(twice))}")
        states |= part
    lost = sorted({target for state in states.values() for target in targets(state)} - states.keys())
    if lost or start not in states:
        raise ValueError(f"transitions lead to states that do not exist: {', '.join(lost) or start}")
    return {"QueryLanguage": "JSONata", "StartAt": start, "States": states}


def targets(state: State) -> set[str]:
    """Return the names of all states that may follow."""
    rules = [state, *state.get("Catch", []), *state.get("Choices", [])]
    return {rule[key] for rule in rules for key in ("Next", "Default") if key in rule}

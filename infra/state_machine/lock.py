"""One execution at a time may judge its model and change the endpoint: an object in the bucket says which.

S3 writes it only where no other one stands (If-None-Match), so of two executions that ask at the same moment one gets
it. An execution that was stopped leaves it behind: whoever comes next sees that its holder has ended, and takes it over
if it is still the same object (If-Match).
"""

from typing import Any, Final

from aws_cdk import aws_iam as iam
from constructs import Construct

from contract.names import Prefix, Step
from infra.policies import allow, arn
from infra.state_machine import endpoint, scaling
from infra.state_machine.facts import Facts
from infra.state_machine.states import (
    NO_EXECUTION,
    NO_SUCH_KEY,
    RUNNING,
    S3_ERROR,
    SAGEMAKER_ERROR,
    State,
    States,
    catch_all,
    choice,
    expr,
    failed,
    failure,
    get_object,
    json_object,
    state_name,
    task,
)

STEP: Final = Step.GATE
START: Final = state_name(STEP, "take the lock")
LOCK_KEY: Final = f"'{Prefix.LOCKS}/deploy.json'"
_WHO = state_name(STEP, "who holds the lock")
_ALIVE = state_name(STEP, "is its holder still running")
_DECIDE = state_name(STEP, "wait or take over")
_TAKE_OVER = state_name(STEP, "take over the lock")
_WAIT = state_name(STEP, "wait for another execution")
_CLEAR = state_name(STEP, "delete what its holder rehearsed on")
_IS_CLEAR = state_name(STEP, "is nothing left of its rehearsal")
_CLEARING = state_name(STEP, "wait for its rehearsal")

# S3 has no error class for a condition that does not hold, or for two conditional writes at once: their status tells
# them from a refusal for good.
_IN_USE: Final = "$contains($failure.cause, /Status Code: 4(12|09)/)"


def unlocked(facts: Facts) -> dict[str, Any]:
    """Return the variables that the step before must assign: until when the lock is waited for."""
    return {"locked": False, "patience": expr(f"$millis() + {facts.settings.endpoint.deadline_seconds * 1000}")}


def lock_states(facts: Facts, *, then: str) -> States:
    """Return the states to ``$locked``; they end after the endpoint's deadline where another execution is in front."""
    mine = {"execution_arn": expr("$states.context.Execution.Id"), "run": expr("$run"), "taken_at": expr("$now()")}
    put = json_object(facts.bucket, LOCK_KEY, mine)
    rehearses = facts.settings.endpoint.rollout.rehearsal
    held = {"locked": True, "lock_etag": expr("$states.result.ETag")}
    # Kept until it is known whether it was the condition: another refusal is told in S3's words.
    refused = catch_all(STEP) | {"ErrorEquals": [S3_ERROR], "Next": _WHO}
    lost = {"ErrorEquals": [S3_ERROR, NO_SUCH_KEY], "Next": _WAIT}
    holder = {
        "holder": expr("$parse($states.result.Body).execution_arn"),
        "holder_run": expr("$parse($states.result.Body).run"),
        "holder_etag": expr("$states.result.ETag"),
    }
    gone = {"ErrorEquals": [NO_SUCH_KEY], "Assign": {"holder": "", "holder_status": "GONE"}, "Next": _DECIDE}
    forgotten = {
        "ErrorEquals": [NO_EXECUTION],
        "Assign": {"holder_status": "GONE"},
        "Next": _DECIDE,
    }
    return {
        START: task(
            STEP,
            "aws-sdk:s3:putObject",
            put | {"IfNoneMatch": "*"},
            then=then,
            assign=held,
            catch=[refused],
        ),
        _WHO: _with_catch(get_object(STEP, facts.bucket, LOCK_KEY, then=_ALIVE, assign=holder), gone),
        _ALIVE: task(
            STEP,
            "aws-sdk:sfn:describeExecution",
            {"ExecutionArn": expr("$holder")},
            then=_DECIDE,
            assign={"holder_status": expr("$states.result.Status")},
            catch=[forgotten],
        ),
        _DECIDE: _decide(),
        _TAKE_OVER: task(
            STEP,
            "aws-sdk:s3:putObject",
            put | {"IfMatch": expr("$holder_etag")},
            then=_CLEAR if rehearses else then,
            # Its holder may have been stopped between taking the scaling off and putting it on again.
            assign=held | {"unscaled": bool(scaling.puts_on(facts))},
            catch=[lost],
        ),
        _WAIT: endpoint.pause(facts, then=START),
        **(_clear(facts, then=then) if rehearses else {}),
    }


def _clear(facts: Facts, *, then: str) -> States:
    """Return the states that delete the endpoint of a rehearsal in which the lock's former holder was stopped."""
    left = {"EndpointName": expr(facts.run_name.replace("$run", "$holder_run"))}
    refused = catch_all(STEP) | {"ErrorEquals": [SAGEMAKER_ERROR], "Next": _IS_CLEAR}
    return {
        _CLEAR: task(STEP, endpoint.DELETE, left, then=then, catch=[refused]),
        # There was none, as a rule. One that is still being created cannot be deleted yet; the wait for it has an end.
        _IS_CLEAR: choice(
            [("$contains($failure.cause, 'Could not find endpoint') or $millis() > $patience", then)],
            otherwise=_CLEARING,
        ),
        _CLEARING: endpoint.pause(facts, then=_CLEAR),
    }


def _with_catch(state: State, catcher: State) -> State:
    return state | {"Catch": [catcher, *state["Catch"]]}


def _decide() -> State:
    behind = (
        "$holder = '' ? 'the lock could not be taken: ' & $failure.cause : "
        "'the execution ' & $holder & ' is still changing the endpoint; start again when it is done'"
    )
    return choice(
        [
            (f"$not({_IN_USE})", failed(STEP)),
            (f"$holder != '' and $not($holder_status in {RUNNING})", _TAKE_OVER),
            ("$millis() > $patience", failed(STEP), failure(STEP, behind)),
        ],
        otherwise=_WAIT,
    )


def release(facts: Facts) -> tuple[str, dict[str, Any]]:
    """Return resource and arguments of the task that gives the lock back, if it is still ours."""
    arguments = {"Bucket": facts.bucket, "Key": expr(LOCK_KEY), "IfMatch": expr("$lock_etag")}
    return "aws-sdk:s3:deleteObject", arguments


def statements(scope: Construct, facts: Facts, bucket_arn: str) -> list[iam.PolicyStatement]:
    """Return what taking, reading, taking over and giving back the lock needs."""
    lock = f"{bucket_arn}/{Prefix.LOCKS}/*"
    executions = arn(scope, "states", "execution", f"{facts.settings.prefix}:*", separator=":")
    return [
        allow(["s3:PutObject"], [lock], sid="LockTake"),
        allow(["s3:GetObject"], [lock], sid="LockRead"),
        allow(["states:DescribeExecution"], [executions], sid="LockHolder"),
        allow(["s3:DeleteObject"], [lock], sid="LockRelease"),
    ]

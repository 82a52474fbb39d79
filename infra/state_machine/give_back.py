"""Where an execution goes that failed after its model was registered: it gives back what it holds, then it fails.

One choice looks at what is left to do; each way from it does one thing and comes back. Trouble on the way is told
behind the first failure, never instead of it.
"""

from collections.abc import Mapping
from typing import Any, Final

from infra.state_machine import endpoint, lock, scaling
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import RETRY_AWS_SDK, RETRY_REQUEST
from infra.state_machine.states import (
    CAUSE,
    FAILED,
    GIVE_BACK,
    SAGEMAKER_ERROR,
    State,
    States,
    choice,
    expr,
)

# What an execution holds at first: no endpoint to rehearse on, no former model to put back, no scaling to put on again.
NOTHING: Final[dict[str, Any]] = {"rehearsing": False, "former": "", "unscaled": False}

_REHEARSAL: Final = f"{FAILED}: delete the rehearsal's endpoint"
_PUT_BACK: Final = f"{FAILED}: put the former model back"
_WAIT: Final = f"{FAILED}: wait for the former model"
_DESCRIBE: Final = f"{FAILED}: describe the endpoint"
_IS_BACK: Final = f"{FAILED}: is the former model back"
_REJECT: Final = f"{FAILED}: reject the model"
_RELEASE: Final = f"{FAILED}: release the lock"

_LONGEST_REASON: Final = 1024
# SageMaker deletes no endpoint that is still being created, and gives up on a container that does not answer: after the
# time it has to start, and what it takes to get an instance.
_DELETE_EVERY_SECONDS: Final = 30
_INSTANCE_SECONDS: Final = 600


def give_back_states(facts: Facts) -> States:
    """Return the states to the Fail state."""
    put_back, scale = _put_back(facts), _scale(facts)
    ways = [("$rehearsing", _REHEARSAL), ("$former != ''", next(iter(put_back)))]
    ways += [("$unscaled", name) for name in list(scale)[:1]]
    # Only an execution that held the lock has judged its model.
    ways.append(("$locked", _REJECT))
    reason = f"$substring($replace($failure.step & ': ' & $failure.cause, /\\s+/, ' '), 0, {_LONGEST_REASON})"
    rejected = {
        "ModelPackageArn": expr("$package"),
        "ModelApprovalStatus": "Rejected",
        "ApprovalDescription": expr(reason),
    }
    return {
        GIVE_BACK: choice(ways, otherwise=FAILED),
        _REHEARSAL: _delete_rehearsal(facts),
        **put_back,
        **scale,
        _REJECT: _step("aws-sdk:sagemaker:updateModelPackage", rejected, "could not reject the model", then=_RELEASE)
        | {"Retry": [RETRY_AWS_SDK]},
        _RELEASE: _step(*lock.release(facts), "could not release the lock", then=FAILED),
    }


def _delete_rehearsal(facts: Facts) -> State:
    seconds = min(_DELETE_EVERY_SECONDS, facts.settings.poll_seconds)
    retry = {
        "ErrorEquals": [SAGEMAKER_ERROR],
        "IntervalSeconds": seconds,
        "MaxAttempts": (facts.settings.endpoint.startup_seconds + _INSTANCE_SECONDS) // seconds,
        "BackoffRate": 1,
    }
    name = {"EndpointName": expr(facts.run_name)}
    trouble = "could not delete the endpoint of its rehearsal"
    return _step(endpoint.DELETE, name, trouble, then=GIVE_BACK, done={"rehearsing": False}) | {"Retry": [retry]}


def _put_back(facts: Facts) -> States:
    """Return the states that put the configuration back that was in service before ours."""
    trouble = "could not put the former model back"
    done = {"former": ""}
    states: States = {}
    for call in scaling.takes_off(facts):
        off = _step(call.resource, call.arguments, trouble, then=_PUT_BACK, done={"unscaled": True})
        nothing = {"ErrorEquals": [scaling.NOT_SCALED], "Assign": {"unscaled": True}, "Next": _PUT_BACK}
        states[f"{FAILED}: {call.detail}"] = off | {"Catch": [nothing, *off["Catch"]]}
    update = endpoint.update(facts, "$former", endpoint.putting_back(facts))
    limit = endpoint.deadline(facts.settings.endpoint.deadline_seconds)
    # Told first: the laptop's Step Functions assigns one variable after the other, AWS all of them at once.
    back = _told(f"'the former model ' & $former & ' serves again at {facts.endpoint_name}'")
    stuck = _told(f"'{trouble}: the endpoint is ' & $status & ': ' & $reason")
    return states | {
        _PUT_BACK: _step(
            "sagemaker:updateEndpoint", update, trouble, then=_WAIT, done=limit, spoilt=done, else_then=GIVE_BACK
        )
        | {"Retry": [RETRY_REQUEST]},
        _WAIT: endpoint.pause(facts, then=_DESCRIBE),
        _DESCRIBE: _step(
            endpoint.DESCRIBE,
            {"EndpointName": facts.endpoint_name},
            trouble,
            then=_IS_BACK,
            done=endpoint.DESCRIBED,
            spoilt=done,
            else_then=GIVE_BACK,
        )
        | {"Retry": [RETRY_AWS_SDK]},
        _IS_BACK: choice(
            [
                ("$status = 'InService' and $serving = $former", GIVE_BACK, back | done),
                (f"$status = 'InService' or {endpoint.BROKEN} or {endpoint.LATE}", GIVE_BACK, stuck | done),
            ],
            otherwise=_WAIT,
        ),
    }


def _scale(facts: Facts) -> States:
    """Return the states that put the scaling on again."""
    calls = scaling.puts_on(facts)
    names = [f"{FAILED}: {call.detail}" for call in calls]
    states: States = {}
    for call, name, then in zip(calls, names, [*names[1:], GIVE_BACK][: len(calls)], strict=True):
        done = {"unscaled": False}
        trouble = "could not put the scaling back on"
        states[name] = _step(call.resource, call.arguments, trouble, then=then, spoilt=done, else_then=GIVE_BACK)
        if then == GIVE_BACK:
            states[name]["Assign"] = done
    return states


def _told(cause: str) -> dict[str, Any]:
    """Return the failure with something more to tell; ``cause`` is a JSONata expression."""
    return {"failure": {"step": expr("$failure.step"), "cause": expr(f"$failure.cause & '; ' & ({cause})")}}


def _step(
    resource: str,
    arguments: Mapping[str, Any],
    trouble: str,
    *,
    then: str,
    done: Mapping[str, Any] | None = None,
    spoilt: Mapping[str, Any] | None = None,
    else_then: str = "",
) -> State:
    """Return a task that goes on even where it fails, and then tells ``trouble`` and why.

    Args:
        resource: as in ``task``.
        arguments: as in ``task``.
        trouble: what was not done, in words.
        then: the next state.
        done: what to assign.
        spoilt: what to assign where it fails; as ``done`` unless given.
        else_then: the next state where it fails; as ``then`` unless given.
    """
    state: State = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Arguments": dict(arguments)}
    if done:
        state["Assign"] = dict(done)
    failed = {
        "ErrorEquals": ["States.ALL"],
        "Assign": dict((done if spoilt is None else spoilt) or {}) | _told(f"'{trouble}: ' & {CAUSE}"),
        "Next": else_then or then,
    }
    return state | {"Output": {}, "Catch": [failed], "Next": then}

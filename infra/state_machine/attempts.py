"""Another attempt at a job, where another attempt can help: no capacity, throttling, an error inside AWS.

A job that failed cannot be started again under its name, so each attempt has a name of its own (Facts.job_name) and
whoever needs the name or the folder of the one that succeeded takes it from the task's result. A failed script, a bad
image or a refused request would only fail again: none of them is repeated.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from contract.names import Step
from infra.settings import Retry
from infra.state_machine.jobs import RETRY_CONNECTION
from infra.state_machine.states import FAILED, State, States, catch_all, choice, expr, state_name, task

# What SageMaker's FailureReason begins with; a script's begins with AlgorithmError, a bad input's with ClientError.
_PASSING: Final = "/^(CapacityError|InternalServerError|EC2InsufficientCapacityError|InsufficientInstanceCapacity)/"
# What the answer to a request that was not taken holds; its name stands before it, unlike before a FailureReason.
_THROTTLED: Final = (
    "$contains($reason, /^SageMaker[.]/) and $contains($reason, /Throttling|Rate exceeded|Status Code: 5[0-9][0-9]/)"
)
_THROTTLED_SECONDS: Final = (5, 15, 45)
# States.TaskFailed stands for every error on AWS; the second is named for whoever reads only this list.
_ERRORS: Final = ("States.TaskFailed", "SageMaker.AmazonSageMakerException")
# The variables of an execution that is to run jobs.
FIRST_ATTEMPT: Final[Mapping[str, Any]] = {"attempt": 0}


def judge_state(step: Step) -> str:
    """Return the name of the state that decides on another attempt, by ``$reason``."""
    return state_name(step, "is another attempt of use")


def job_states(
    step: Step,
    resource: str,
    request: Mapping[str, Any],
    *,
    then: str,
    assign: Mapping[str, Any],
    retry: Retry,
    ask: str = "",
) -> States:
    """Return a step's job and its further attempts; ``$attempt`` counts them from 0.

    Args:
        step: what the job is for; the job's state has its name.
        resource: the .sync integration that runs the job.
        request: its arguments, with ``Facts.job_name`` as the job's name.
        then: the state after the job.
        assign: what to keep of its result.
        retry: how often another attempt is made, and after how long.
        ask: a state that finds out more about a failure, puts it into ``$reason`` and goes on to ``judge_state``.
    """
    judge, pause = judge_state(step), state_name(step, "wait for another attempt")
    failed = catch_all(step)
    # The cause is for people, the reason is what is judged: they differ where a state in between finds out more.
    failed |= {
        "ErrorEquals": list(_ERRORS),
        "Assign": failed["Assign"] | {"reason": failed["Assign"]["failure"]["cause"]},
    }
    job = task(
        step,
        resource,
        request,
        then=then,
        assign={**assign, **FIRST_ATTEMPT},
        retry=[RETRY_CONNECTION],
        catch=[failed | {"Next": ask or judge}],
    )
    waits = [retry.wait_seconds * 2**attempt for attempt in range(retry.attempts)]
    rules = [_again(f"$contains($reason, {_PASSING})", waits, pause), _again(_THROTTLED, _THROTTLED_SECONDS, pause)]
    wait: State = {"Type": "Wait", "Seconds": expr("$pause"), "Output": {}, "Next": str(step)}
    return {str(step): job, judge: choice(rules, otherwise=FAILED), pause: wait}


def _again(condition: str, seconds: Sequence[int], pause: str) -> tuple[str, str, dict[str, Any]]:
    """Return the rule that allows as many attempts as there are pauses."""
    counted = {"pause": expr(f"{list(seconds)}[$attempt]"), "attempt": expr("$attempt + 1")}
    return f"$attempt < {len(seconds)} and {condition}", pause, counted

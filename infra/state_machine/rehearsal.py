"""The new model answers a photo on an endpoint of its own before any user's request reaches it."""

from typing import Final

from contract.names import Step
from infra.state_machine import endpoint
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import RETRY_AWS_SDK, RETRY_REQUEST
from infra.state_machine.smoke_test import RETRY_LAMBDA
from infra.state_machine.states import States, choice, expr, failed, failure, state_name, task

STEP: Final = Step.DEPLOY
START: Final = state_name(STEP, "configure a rehearsal")
_CREATE = state_name(STEP, "create an endpoint to rehearse on")
_WAIT = state_name(STEP, "wait for the rehearsal")
_DESCRIBE = state_name(STEP, "describe the rehearsal's endpoint")
_IS_READY = state_name(STEP, "can the rehearsal begin")
_ASK = state_name(STEP, "rehearse")
_DELETE = state_name(STEP, "delete the rehearsal's endpoint")


def rehearsal_states(facts: Facts, *, then: str) -> States:
    """Return the states that lead on only where the model has answered a test photo; the endpoint goes in every case.

    ``$rehearsed`` is true afterwards. Where a state fails, ``$rehearsing`` says whether there is an endpoint to delete.
    """
    name = {"EndpointName": expr(facts.run_name)}
    seconds = facts.settings.endpoint.deadline_seconds
    config = {"EndpointConfigName": expr(f"{facts.run_name} & '-rehearsal'")}
    photo = {"prepared_uri": expr("$prepared_uri"), "endpoint_name": expr(facts.run_name)}
    broken = "'the endpoint of the rehearsal ended ' & $status & ': ' & $reason"
    late = f"'the endpoint of the rehearsal was still ' & $status & ' after {seconds} seconds'"
    return {
        START: task(
            STEP,
            "sagemaker:createEndpointConfig",
            config | endpoint.configuration(facts, instances=1) | {"Tags": facts.tags(STEP)},
            then=_CREATE,
            assign=endpoint.deadline(seconds),
            retry=[RETRY_REQUEST],
        ),
        _CREATE: task(
            STEP,
            "sagemaker:createEndpoint",
            name | config | {"Tags": facts.tags(STEP)},
            then=_WAIT,
            assign={"rehearsing": True},
            retry=[RETRY_REQUEST],
        ),
        _WAIT: endpoint.pause(facts, then=_DESCRIBE),
        _DESCRIBE: task(
            STEP, endpoint.DESCRIBE, name, then=_IS_READY, assign=endpoint.DESCRIBED, retry=[RETRY_AWS_SDK]
        ),
        _IS_READY: choice(
            [
                ("$status = 'InService'", _ASK),
                (endpoint.BROKEN, failed(STEP), failure(STEP, broken)),
                (endpoint.LATE, failed(STEP), failure(STEP, late)),
            ],
            otherwise=_WAIT,
        ),
        _ASK: task(
            STEP,
            "lambda:invoke",
            {"FunctionName": facts.smoke_test, "Payload": photo},
            then=_DELETE,
            retry=[RETRY_LAMBDA],
        ),
        # Looked for anew: somebody may have changed the endpoint of the users meanwhile.
        _DELETE: task(
            STEP,
            endpoint.DELETE,
            name,
            then=then,
            assign={"rehearsing": False, "rehearsed": True} | endpoint.deadline(seconds),
            retry=[RETRY_AWS_SDK],
        ),
    }

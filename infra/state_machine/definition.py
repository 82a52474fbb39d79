"""The whole definition, as plain data: nothing here needs CDK."""

from typing import Any

from infra.state_machine import deploy, extract, gate, give_back, lock, prepare, register, smoke_test, train, tune
from infra.state_machine.facts import Facts
from infra.state_machine.states import assemble


def definition(facts: Facts) -> dict[str, Any]:
    """Return the state machine's definition in the Amazon States Language."""
    return assemble(
        prepare.START,
        prepare.prepare_states(facts, then=extract.START),
        extract.extract_states(facts, then=tune.START, resumed=train.START),
        tune.tune_states(facts, then=train.START),
        train.train_states(facts, then=register.START),
        register.register_states(facts, then=lock.START),
        lock.lock_states(facts, then=gate.START),
        gate.gate_states(facts, then=deploy.START),
        deploy.deploy_states(facts, then=smoke_test.START),
        smoke_test.smoke_test_states(facts),
        give_back.give_back_states(facts),
    )

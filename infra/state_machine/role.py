"""What the state machine may do: what its steps need, each written beside its calls."""

from aws_cdk import aws_iam as iam
from constructs import Construct

from contract.names import FOUND_FILE, Prefix
from infra.policies import allow, from_this_account, read_write, role
from infra.state_machine import deploy, lock, register, scaling, smoke_test, tell
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import job_statements
from infra.watch.tracing import log_delivery_statement, trace_statement


def state_machine_role(scope: Construct, construct_id: str, *, facts: Facts, bucket_arn: str) -> iam.Role:
    """Return the role of the state machine that ``facts`` describes."""
    return role(
        scope,
        construct_id,
        service="states.amazonaws.com",
        description="Pedigree's state machine",
        conditions=from_this_account(scope),
        statements=[
            *job_statements(scope, facts),
            *_records(bucket_arn, facts),
            *register.statements(scope, facts),
            *lock.statements(scope, facts, bucket_arn),
            *deploy.statements(scope, facts),
            *scaling.statements(scope, facts),
            *smoke_test.statements(facts),
            *tell.statements(facts),
            trace_statement(),
            log_delivery_statement(),
        ],
    )


def _records(bucket_arn: str, facts: Facts) -> list[iam.PolicyStatement]:
    """The small JSON files that executions leave for each other, never photos or models, and the bucket's key."""
    own = [f"{Prefix.PREPARED_INDEX}/*", f"{Prefix.RESUME}/*", f"{Prefix.PRODUCTION}/*"]
    # Both prefixes that begin so: a role's policy has 10,240 characters.
    prepared = f"{Prefix.PREPARED}*"
    # Where one job runs all trials, it leaves them as a file.
    swept = [f"{Prefix.TUNING}/*"] if facts.settings.tuning.mode == "single_job" else []
    return [
        *read_write(
            bucket_arn,
            read=[prepared, *own[1:], f"{Prefix.CHECKPOINTS}/*/{FOUND_FILE}", *swept],
            write=[*own, f"{Prefix.TUNING}/*", f"{Prefix.MODELS}/*/{register.STATISTICS}"],
            sid="Records",
            key_arn=facts.customer_key,
        ),
        allow(["s3:DeleteObject"], [f"{bucket_arn}/{Prefix.RESUME}/*"], sid="ForgetResume"),
    ]

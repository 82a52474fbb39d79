import shlex
import subprocess

from console.environment import OTHER_ACCOUNTS, export_lines, variables
from contract.names import Stack
from tests.console.fakes import FakeCloud

NASTY = "a b'c\"d$HOME`id`\\;#\n!e"


def test_any_value_survives_the_shell() -> None:
    script = "\n".join([*export_lines({"VALUE": NASTY}), 'printf %s "$VALUE"'])
    shell = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert shell.stdout == NASTY


def test_a_profile_of_the_persons_own_is_forgotten() -> None:
    lines = export_lines({"AWS_REGION": "us-east-1"}, OTHER_ACCOUNTS)
    assert lines == ["export AWS_REGION=us-east-1", "unset AWS_PROFILE AWS_SESSION_TOKEN"]


def test_plain_values_stay_readable() -> None:
    assert export_lines({"AWS_REGION": "us-east-1"})[0] == "export AWS_REGION=us-east-1"
    assert shlex.split(export_lines({"A": "b c"})[0]) == ["export", "A=b c"]


def test_for_aws_no_credentials_are_printed_and_nothing_is_forgotten(cloud: FakeCloud) -> None:
    for _ in Stack:
        cloud.stub("cloudformation").add_client_error("describe_stacks", "ValidationError", "x does not exist")
    lines = export_lines(variables(cloud))
    assert lines == ["export AWS_REGION=us-east-1", "export AWS_DEFAULT_REGION=us-east-1"]

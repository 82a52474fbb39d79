"""``train``: SageMaker's verb for a job. Opens the source bundle, runs its program, reports how that ended."""

import sys
import traceback

from container.bundle import find_program, open_bundle, unpack
from container.environment import (
    PROGRAM,
    SUBMIT_DIRECTORY,
    Layout,
    read_job,
    script_arguments,
    script_environment,
)
from container.errors import LaunchError
from container.failure import write_failure
from container.processes import how_to_start
from container.script import SignalForwarder, run_script


def main() -> None:
    """Run the job and exit as its script did: its own code, or 128 + n where signal n ended it."""
    signals = SignalForwarder()
    layout = Layout.from_environment()
    try:
        layout.failure.unlink(missing_ok=True)
        code = launch(layout, signals)
    except LaunchError as error:
        print(f"train: {error}", file=sys.stderr)
        write_failure(layout.failure, str(error))
        code = 1
    except Exception:
        message = traceback.format_exc().splitlines()[-1]
        write_failure(layout.failure, f"the launcher failed before or after the script: {message}")
        raise
    sys.exit(code)


def launch(layout: Layout, signals: SignalForwarder) -> int:
    """Run the job's script; return the exit code, and leave the failure file where it is not 0.

    Raises:
        LaunchError: the request, the bundle or the program in it cannot be used.
    """
    job = read_job(layout)
    program = job.required(PROGRAM)
    uri = job.required(SUBMIT_DIRECTORY)
    with open_bundle(uri, layout, job.region) as archive:
        unpack(archive, layout.code, f"the source bundle {uri}")
    entry_point = find_program(layout.code, program)
    for directory in (layout.model, layout.output_data):
        directory.mkdir(parents=True, exist_ok=True)
    start = how_to_start(job, entry_point, script_environment(layout, job))
    outcome = run_script([*start.command, *script_arguments(job)], layout.code, start.environment, signals)
    if outcome.exit_code != 0:
        write_failure(layout.failure, outcome.reason(program))
    return outcome.exit_code


if __name__ == "__main__":
    main()

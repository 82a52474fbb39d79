"""`pedigree`: runs a command, and turns every expected error into one line and an exit code."""

import io
import sys

from console import interrupts
from console.errors import ConsoleError
from console.interrupts import Interrupted
from console.screen import Screen


def main() -> None:
    """Run a command; exits 0, 1 with a message on standard error, 2 for a wrong command line, 130 when stopped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not where it is closed
            stream.reconfigure(errors="backslashreplace")  # not every locale can write every name
    screen = Screen()
    try:
        with interrupts.caught():
            _run()
    except Interrupted:
        screen.note("Stopped.")
        sys.exit(interrupts.EXIT_CODE)
    except ConsoleError as error:
        screen.error(error.message, error.hint)
        sys.exit(error.exit_code)


def _run() -> None:
    # Imported here: it takes a second, in which Ctrl-C must already be understood. It is granted behind it, for what is
    # raised in the middle of an import may be taken for something else, and be lost.
    with interrupts.shielded():
        from botocore.exceptions import BotoCoreError, ClientError

        from console.commands import app

    try:
        app()
    except (BotoCoreError, ClientError) as error:
        raise ConsoleError(f"The cloud refused: {error}") from error
    except OSError as error:  # a full disk, a folder that may not be written
        raise ConsoleError(f"The system refused: {error}") from error


if __name__ == "__main__":
    main()

"""The one root of everything the console says instead of a traceback."""

from typing import ClassVar


class ConsoleError(Exception):
    """Something the person at the keyboard can act on; ``hint`` says how."""

    # What the command ends with.
    exit_code: ClassVar = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ConsoleError):
    """The words of the command line do not go together; nothing was done."""

    exit_code = 2

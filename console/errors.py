"""The one root of everything the console says instead of a traceback."""


class ConsoleError(Exception):
    """Something the person at the keyboard can act on; ``hint`` says how."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

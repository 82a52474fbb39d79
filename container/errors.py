"""What keeps the launcher from starting a script or a server."""


class LaunchError(Exception):
    """The platform's input cannot be run; the message names it and says what is expected."""

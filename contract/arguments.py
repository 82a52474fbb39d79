"""Reading command lines: what an option's parser says of a wrong value reaches the user."""

import argparse
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def checked(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """Return ``parse`` as argparse's ``type``: of a ValueError it would say "invalid parse value", and no more."""

    def read(text: str) -> Value:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read

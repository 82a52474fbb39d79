"""What a client may ask for beside the labels, in a query, a form, JSON or a header: read alike by API and endpoint."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from contract.inference import TOP_K, ErrorCode, InferenceError, Options

TOP: Final = "top"
EXPLAIN: Final = "explain"
_YES_NO: Final = {"true": True, "false": False}
# No option needs more; a longer one is not repeated in the message.
_LONGEST_TOLD: Final = 40

Given = list[tuple[str, Any]]  # names with values as JSON has them


def given_as_text(pairs: Iterable[tuple[str, str]]) -> Given:
    """Return options that came as text, as JSON would have them; what an option cannot be stays text, to be refused."""
    return [(name, _value_of(name, text)) for name, text in pairs]


def options_of(attributes: str | None) -> list[tuple[str, str]]:
    """Return the options in a custom attributes header: ``top=3;explain=true``.

    Raises:
        InferenceError: BAD_REQUEST, where something in it is no NAME=VALUE.
    """
    pairs = []
    for part in filter(None, (part.strip() for part in (attributes or "").split(";"))):
        name, equals, value = part.partition("=")
        if not equals:
            raise _bad(f"option {told(part)}: NAME=VALUE expected, as in top=3;explain=true")
        pairs.append((name.strip(), value.strip()))
    return pairs


def attributes_of(given: Given) -> str:
    """Return options that ``read_options`` has taken as a custom attributes header, which ``options_of`` reads."""
    words = {name: str(value).lower() for name, value in given}
    return ";".join(f"{name}={value}" for name, value in words.items())


def read_options(given: Given, classes: int | None) -> Options:
    """Return the options; what is not given is as usual.

    Args:
        given: each name at most once.
        classes: how many the model knows, the most that ``top`` may be; None: not known here.

    Raises:
        InferenceError: BAD_REQUEST; the message names the option, what was given and what is expected.
    """
    values = _once(given)
    most = sys.maxsize if classes is None else classes
    top, explain = values.get(TOP, min(TOP_K, most)), values.get(EXPLAIN, False)
    if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= most:
        raise _bad(f"{TOP}={told(top)}: a whole number from 1 to {classes or 'the number of classes'} expected")
    if not isinstance(explain, bool):
        raise _bad(f"{EXPLAIN}={told(explain)}: true or false expected")
    return Options(top, explain)


def told(value: object) -> str:
    """Return what was given as a message repeats it, which is not at any length."""
    text = repr(value)
    return text if len(text) <= _LONGEST_TOLD else f"{text[:_LONGEST_TOLD]}..."


def _once(given: Given) -> Mapping[str, Any]:
    values: dict[str, Any] = {}
    for name, value in given:
        if name not in (TOP, EXPLAIN):
            raise _bad(f"unknown option {told(name)}: there are {TOP} and {EXPLAIN}")
        if name in values:
            raise _bad(f"option {name} is given twice")
        values[name] = value
    return values


def _value_of(name: str, text: str) -> str | int | bool:
    if name == TOP and text.isascii() and text.isdecimal() and len(text) <= 9:
        return int(text)
    return _YES_NO.get(text.lower(), text) if name == EXPLAIN else text


def _bad(message: str) -> InferenceError:
    return InferenceError(ErrorCode.BAD_REQUEST, message)

"""What a settings value may be, declared beside the field and explained when it is not."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final, Protocol, TypeVar, cast

T = TypeVar("T")
_CHECK: Final = "check"
_MEANING: Final = "meaning"


class Check(Protocol):
    """Decides over one value and says in words what it accepts."""

    @property
    def allowed(self) -> str:
        """What is accepted, as the end of the sentence "... expected"."""

    def accepts(self, value: object) -> bool:
        """Return whether ``value`` may be used."""


class SettingsError(ValueError):
    """A settings value that cannot be used; carries the key, what was given and what is allowed."""

    def __init__(self, key: str, value: object, allowed: str) -> None:
        """Keep the parts, so that the outer sections can complete the key."""
        super().__init__(f"{key}: {value!r} given, {allowed} expected")
        self.key = key
        self.value = value
        self.allowed = allowed

    def within(self, section: str) -> "SettingsError":
        """Return the same error with its key completed by the section that holds it."""
        return SettingsError(f"{section}.{self.key}" if self.key else section, self.value, self.allowed)


@dataclass(frozen=True)
class WholeNumber:
    """A whole number in [low, high]."""

    low: int
    high: int

    @property
    def allowed(self) -> str:
        """What is accepted."""
        return f"a whole number from {self.low} to {self.high}"

    def accepts(self, value: object) -> bool:
        """Return whether ``value`` is one; JSON's true and false are none."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True)
class Fraction:
    """A number in [0, 1]."""

    @property
    def allowed(self) -> str:
        """What is accepted."""
        return "a number from 0 to 1"

    def accepts(self, value: object) -> bool:
        """Return whether ``value`` is one; JSON's true and false are none."""
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


@dataclass(frozen=True)
class Above:
    """A number in (low, high]."""

    low: float
    high: float

    @property
    def allowed(self) -> str:
        """What is accepted."""
        return f"a number above {self.low}, at most {self.high}"

    def accepts(self, value: object) -> bool:
        """Return whether ``value`` is one; JSON's true and false are none."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low < value <= self.high


@dataclass(frozen=True)
class Flag:
    """True or false."""

    @property
    def allowed(self) -> str:
        """What is accepted."""
        return "true or false"

    def accepts(self, value: object) -> bool:
        """Return whether ``value`` is one."""
        return isinstance(value, bool)


@dataclass(frozen=True)
class OneOf:
    """One of a few words or numbers."""

    choices: tuple[str, ...] | tuple[int, ...]

    @property
    def allowed(self) -> str:
        """What is accepted."""
        return f"one of {', '.join(map(str, self.choices))}"

    def accepts(self, value: object) -> bool:
        """Return whether ``value`` is one of them; JSON's true and false are no numbers."""
        return not isinstance(value, bool) and value in self.choices


@dataclass(frozen=True)
class Text:
    """Text that matches ``pattern`` as a whole."""

    pattern: str
    allowed: str

    def accepts(self, value: object) -> bool:
        """Return whether ``value`` is such text."""
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True)
class ListOf:
    """A list whose every item passes ``item``."""

    item: Check

    @property
    def allowed(self) -> str:
        """What is accepted."""
        return f"a list, each item {self.item.allowed}"

    def accepts(self, value: object) -> bool:
        """Return whether ``value`` is such a list."""
        return isinstance(value, list | tuple) and all(self.item.accepts(item) for item in value)


@dataclass(frozen=True)
class Unset:
    """Null, or what ``check`` accepts."""

    check: Check

    @property
    def allowed(self) -> str:
        """What is accepted."""
        return f"null or {self.check.allowed}"

    def accepts(self, value: object) -> bool:
        """Return whether ``value`` is null or passes."""
        return value is None or self.check.accepts(value)


def checked(default: T, check: Check, meaning: str) -> T:
    """Declare a dataclass field with its default, what else it may be, and what it means in words."""
    return field(default=default, metadata={_CHECK: check, _MEANING: meaning})


def section(default: T, meaning: str = "") -> T:
    """Declare a dataclass field that holds other settings; without a meaning, its class's docstring says it."""
    return field(default=default, metadata={_MEANING: meaning or _first_line(type(default))})


def _first_line(section_type: type) -> str:
    return (section_type.__doc__ or "").partition("\n")[0]


@dataclass(frozen=True)
class Explained:
    """One key of the settings, or one section of them, as a person reads about it."""

    key: str  # as in cdk.json below a stage: endpoint.rollout.traffic
    meaning: str
    default: object
    allowed: str  # empty for a section

    @property
    def is_section(self) -> bool:
        """Whether other keys stand below it."""
        return not self.allowed


def explain(settings: object, above: str = "") -> Iterator[Explained]:
    """Yield every key of a settings dataclass with its value there, sections before what they hold."""
    for each in fields(cast(Any, settings)):
        key, value = f"{above}{each.name}", getattr(settings, each.name)
        check = each.metadata.get(_CHECK)
        yield Explained(key, each.metadata[_MEANING], value, check.allowed if check is not None else "")
        if check is None:
            yield from explain(value, f"{key}.")


def verify(settings: object) -> None:
    """Check every declared field of a settings dataclass; called from its ``__post_init__``.

    Raises:
        SettingsError: for the first value that may not be used.
    """
    for each in fields(cast(Any, settings)):
        check = each.metadata.get(_CHECK)
        value = getattr(settings, each.name)
        if check is not None and not check.accepts(value):
            raise SettingsError(each.name, value, check.allowed)


def build(section_type: type[T], given: object, defaults: T | None = None) -> T:
    """Return a settings dataclass from JSON; what JSON does not say comes from ``defaults``, else from the fields.

    A field whose default is a settings dataclass is a section: an object that says what differs from that default.

    Raises:
        SettingsError: a key is unknown or a value may not be used.
    """
    if not isinstance(given, Mapping):
        raise SettingsError("", given, "an object")
    known = {each.name: each for each in fields(cast(Any, section_type))}
    values: dict[str, Any] = {} if defaults is None else {name: getattr(defaults, name) for name in known}
    for key, value in given.items():
        if key not in known:
            raise SettingsError(str(key), value, f"one of the keys {', '.join(known)}")
        section = known[key].default
        if not is_dataclass(section):
            values[key] = tuple(value) if isinstance(value, list) else value
            continue
        try:
            values[key] = build(type(section), value, section)
        except SettingsError as error:
            raise error.within(key) from None
    return section_type(**values)

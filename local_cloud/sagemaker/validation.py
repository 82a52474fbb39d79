"""Requests checked against botocore's service model, refused in AWS's words."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape
from botocore.utils import parse_to_aware_datetime
from botocore.validate import ParamValidator

from local_cloud.sagemaker.errors import unknown_operation, validation

# Java's Unicode classes, as close as Python's re comes inside a character class.
_UNICODE_CLASSES = {r"\p{L}": r"\w", r"\p{N}": r"\w", r"\p{M}": r"\w", r"\p{Z}": r"\s", r"\p{Alnum}": "a-zA-Z0-9"}


@cache
def service_model(service: str = "sagemaker") -> ServiceModel:
    """Return botocore's model of a service; SageMaker's takes about 0.2 s to load, so it is loaded on first use."""
    return botocore.session.get_session().get_service_model(service)


def members_of(operation: str, direction: str) -> frozenset[str]:
    """Return the names of an operation's ``input`` or ``output`` members."""
    model = service_model().operation_model(operation)
    shape = model.input_shape if direction == "input" else model.output_shape
    return frozenset(shape.members) if shape is not None else frozenset()


def checked(operation: str, request: Mapping[str, Any], service: str = "sagemaker") -> dict[str, Any]:
    """Return a copy of the request, timestamps as datetimes, if the service would take it.

    Raises:
        ServiceError: the operation is unknown, or a member is missing, unknown, of the wrong type, or breaks its
            enum, pattern, length or range.
    """
    model = service_model(service)
    if operation not in model.operation_names:
        raise unknown_operation(operation)
    shape = model.operation_model(operation).input_shape
    if shape is None:
        return {}
    report = ParamValidator().validate(dict(request), shape)
    if report.has_errors():
        raise validation(f"Parameter validation failed:\n{report.generate_report()}")
    violations = list(_violations(shape, request, ""))
    if violations:
        noun = "validation error" if len(violations) == 1 else "validation errors"
        raise validation(f"{len(violations)} {noun} detected: {'; '.join(violations)}")
    parsed: dict[str, Any] = _parsed(shape, request)
    return parsed


def _violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        for name, member in value.items():
            yield from _violations(shape.members[name], member, _join(path, _lower_first(name)))
    elif isinstance(shape, ListShape):
        yield from _breaks(shape, value, path)
        for index, item in enumerate(value, 1):
            yield from _violations(shape.member, item, f"{path}.{index}.member")
    elif isinstance(shape, MapShape):
        yield from _breaks(shape, value, path)
        for key, item in value.items():
            yield from _violations(shape.key, key, f"{path}.{key}.key")
            yield from _violations(shape.value, item, f"{path}.{key}.value")
    else:
        yield from _breaks(shape, value, path)


def _breaks(shape: Shape, value: Any, path: str) -> Iterator[str]:
    for check in _checks_for(shape):
        constraint = check(value)
        if constraint:
            yield f"Value {_quoted(value)} at '{path}' failed to satisfy constraint: Member must {constraint}"


Check = Callable[[Any], str | None]


def _checks_for(shape: Shape) -> list[Check]:
    checks: list[Check] = []
    limits = shape.metadata
    if limits.get("enum"):
        allowed = limits["enum"]
        checks.append(lambda v: None if v in allowed else f"satisfy enum value set: [{', '.join(allowed)}]")
    size: Callable[[Any], float] = len if shape.type_name in ("string", "list", "map") else float
    noun = "length" if shape.type_name in ("string", "list", "map") else "value"
    low, high = limits.get("min"), limits.get("max")
    if low is not None:
        checks.append(lambda v: None if size(v) >= low else f"have {noun} greater than or equal to {low}")
    if high is not None:
        checks.append(lambda v: None if size(v) <= high else f"have {noun} less than or equal to {high}")
    if limits.get("pattern"):
        pattern = limits["pattern"]
        expression = _compiled(pattern)
        checks.append(lambda v: None if expression.fullmatch(v) else f"satisfy regular expression pattern: {pattern}")
    return checks


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    for java, python in _UNICODE_CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        # A handful of Java expressions have no counterpart in Python; they guard members that nothing here reads.
        return re.compile(".*", re.DOTALL)


def _parsed(shape: Shape, value: Any) -> Any:
    match shape:
        case StructureShape():
            return {name: _parsed(shape.members[name], member) for name, member in value.items()}
        case ListShape():
            return [_parsed(shape.member, item) for item in value]
        case MapShape():
            return {key: _parsed(shape.value, item) for key, item in value.items()}
        case Shape(type_name="timestamp"):
            return parse_to_aware_datetime(value)
        case _:
            return value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def _quoted(value: Any) -> str:
    return f"'{str(value)[:200]}'"

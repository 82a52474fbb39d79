"""An execution that succeeded, kept so that others can begin in the middle of it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_HERE = "Begin here"
# What starts work that goes on after the state that asked for it, under a role of its own.
_STARTS = re.compile(r"sagemaker:(create|update)(TrainingJob|HyperParameterTuningJob|Endpoint)(\.sync)?$")


@dataclass(frozen=True)
class Visit:
    """One state that was entered; ``variables`` are those assigned before."""

    state: str
    entered: float
    left: float
    input: str
    variables: Mapping[str, Any]

    @property
    def step(self) -> str:
        """The step that people see."""
        return self.state.partition(":")[0]


def visits(events: Sequence[Mapping[str, Any]]) -> list[Visit]:
    """Return the states of an execution's history, in order."""
    found: list[Visit] = []
    variables: dict[str, Any] = {}
    for event in events:
        moment = event["timestamp"].timestamp()
        if "stateEnteredEventDetails" in event:
            details = event["stateEnteredEventDetails"]
            found.append(Visit(details["name"], moment, float("inf"), details.get("input", "{}"), dict(variables)))
        elif "stateExitedEventDetails" in event:
            assigned = event["stateExitedEventDetails"].get("assignedVariables", {})
            variables |= {name: json.loads(value) for name, value in assigned.items()}
            last = found[-1]
            found[-1] = Visit(last.state, last.entered, moment, last.input, last.variables)
    return found


class Recording:
    """The definition of a state machine, and one execution of it."""

    def __init__(self, definition: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> None:
        """Read the history's events."""
        self.definition = definition
        # Without the state that an execution of another definition began with.
        self.visits = [visit for visit in visits(events) if visit.state in definition["States"]]
        self._calls = {
            event["taskScheduledEventDetails"]["resource"].partition(".")[0]: event["taskScheduledEventDetails"]
            for event in events
            if "taskScheduledEventDetails" in event
        }

    def begin_at(self, step: str) -> dict[str, Any]:
        """Return a definition that begins with a step, under another name."""
        return self._begin(next(visit for visit in self.visits if visit.step == step), fresh=True)

    def covers(self, moment: float, later: float = 2.0) -> bool:
        """Whether the execution ran then; what it sets off may come some seconds later."""
        return self.visits[0].entered <= moment <= self.visits[-1].left + later

    def has_called(self, operation: str) -> bool:
        """Whether the execution called an operation."""
        return operation in self._calls

    def parameters(self, operation: str) -> dict[str, Any]:
        """Return what an operation was called with last.

        Raises:
            KeyError: the execution never called it.
        """
        found: dict[str, Any] = json.loads(self._calls[operation]["parameters"])
        return found

    def calls(self, operation: str) -> Iterator[float]:
        """Yield when states were entered that call an operation, such as ``createTrainingJob``."""
        for index, visit in enumerate(self.visits):
            if self._resource(index).removesuffix(".sync").endswith(f":{operation}"):
                yield visit.entered

    def beginnings(self, moment: float, *, in_background: bool) -> Iterator[dict[str, Any]]:
        """Yield definitions that begin before what happened at a moment, the nearest first.

        Args:
            moment: when the permission was asked for.
            in_background: whether by a job or an endpoint, and not by the state itself.
        """
        at = max(index for index, visit in enumerate(self.visits) if index == 0 or visit.entered <= moment)
        if in_background:
            starts = [index for index in range(at + 1) if _STARTS.search(self._resource(index))]
            at = starts[-1] if starts else at
        yield self._begin(self.visits[at], fresh=":create" in self._resource(at))
        first = at
        while first and self.visits[first - 1].step == self.visits[at].step:
            first -= 1
        if first != at:
            yield self._begin(self.visits[first], fresh=True)

    def _resource(self, index: int) -> str:
        return str(self.definition["States"][self.visits[index].state].get("Resource", ""))

    def _begin(self, visit: Visit, *, fresh: bool) -> dict[str, Any]:
        """Return the definition with a first state that puts everything as it was when a state was entered."""
        variables = dict(visit.variables)
        if fresh and "run" in variables:
            variables["run"] = _other_name(variables["run"])
        begin = {"Type": "Pass", "Output": json.loads(visit.input), "Next": visit.state}
        if variables:
            begin["Assign"] = variables
        return {**self.definition, "StartAt": _HERE, "States": {_HERE: begin, **self.definition["States"]}}


_names = 0


def _other_name(run: str) -> str:
    """Return a run id of the same length that no execution had."""
    global _names
    _names += 1
    return f"{_names:x}".rjust(len(run), "f")[-len(run) :]

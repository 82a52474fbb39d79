"""A small interpreter of the Amazon States Language, for what our definition uses, with a clock of its own."""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonata  # type: ignore[import-untyped]  # publishes no types

Task = Callable[[Any], Any]


class TaskError(Exception):
    """What a service answers a task that fails."""

    def __init__(self, error: str, cause: object) -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause if isinstance(cause, str) else json.dumps(cause)


@dataclass
class Execution:
    """How an execution goes."""

    arn: str = "arn:aws:states:us-east-1:123456789012:execution:pedigree-dev:run-1"
    status: str = "RUNNING"
    output: Any = None
    error: str = ""
    cause: str = ""
    path: list[str] = field(default_factory=list)
    requests: dict[str, Any] = field(default_factory=dict)
    waited: int = 0


class Machine:
    """Runs a definition against functions that stand for AWS's services, keyed by resource.

    A task state that is named in ``failing`` fails with its error, at every attempt.
    """

    def __init__(
        self,
        definition: Mapping[str, Any],
        tasks: Mapping[str, Task],
        failing: Mapping[str, TaskError] | None = None,
    ) -> None:
        assert definition["QueryLanguage"] == "JSONata"
        self._definition = definition
        self._tasks = tasks
        self._failing = failing or {}

    def run(self, given: Mapping[str, Any] | None = None) -> Execution:
        """Run one execution to its end; a broken expression outside a task's Catch raises, as it would end it."""
        execution = Execution()
        for _ in self.steps(execution, given):
            pass
        return execution

    def steps(self, execution: Execution, given: Mapping[str, Any] | None = None) -> Iterator[str]:
        """Run one execution state by state: yields the name of each state that is left, so that others run between."""
        variables: dict[str, Any] = {}
        data: Any = dict(given or {})
        name = self._definition["StartAt"]
        while execution.status == "RUNNING":
            assert len(execution.path) < 500, f"no end in sight: {execution.path[-12:]}"
            execution.path.append(name)
            state = self._definition["States"][name]
            scope = _Scope(variables, data, execution)
            left = name
            data, name = getattr(self, f"_{state['Type'].lower()}")(name, state, scope)
            yield left

    def _pass(self, name: str, state: Mapping[str, Any], scope: "_Scope") -> tuple[Any, str]:
        output = scope.output(state, scope.data)
        scope.assign(state)
        if state.get("End"):
            scope.execution.status, scope.execution.output = "SUCCEEDED", output
            return output, ""
        return output, state["Next"]

    def _wait(self, name: str, state: Mapping[str, Any], scope: "_Scope") -> tuple[Any, str]:
        scope.execution.waited += scope.evaluate(state["Seconds"])
        return self._pass(name, state, scope)

    def _choice(self, name: str, state: Mapping[str, Any], scope: "_Scope") -> tuple[Any, str]:
        for rule in state["Choices"]:
            if scope.evaluate(rule["Condition"]) is True:
                scope.assign(rule)
                return scope.data, rule["Next"]
        return scope.data, state["Default"]

    def _fail(self, name: str, state: Mapping[str, Any], scope: "_Scope") -> tuple[Any, str]:
        scope.execution.status = "FAILED"
        scope.execution.error = scope.evaluate(state["Error"])
        scope.execution.cause = scope.evaluate(state["Cause"])
        return None, ""

    def _task(self, name: str, state: Mapping[str, Any], scope: "_Scope") -> tuple[Any, str]:
        resource = state["Resource"].removeprefix("arn:aws:states:::")
        attempts: dict[int, int] = {}
        while True:
            try:
                arguments = scope.evaluate(state["Arguments"])
                scope.execution.requests[name] = arguments
                if name in self._failing:
                    raise self._failing[name]
                scope.result = json.loads(json.dumps(self._tasks[resource](arguments)))
                output = scope.output(state, scope.result)
                scope.assign(state)
                break
            except TaskError as error:
                if _may_repeat(state, error.error, attempts):
                    continue
                return self._caught(state, error, scope)
        return output, state["Next"]

    def _caught(self, state: Mapping[str, Any], error: TaskError, scope: "_Scope") -> tuple[Any, str]:
        for catcher in state.get("Catch", []):
            if {"States.ALL", error.error} & set(catcher["ErrorEquals"]):
                scope.error_output = {"Error": error.error, "Cause": error.cause}
                scope.assign(catcher)
                return scope.error_output, catcher["Next"]
        raise error


class _Scope:
    """What the expressions of one state see."""

    def __init__(self, variables: dict[str, Any], data: Any, execution: Execution) -> None:
        self.data = data
        self.execution = execution
        self.result: Any = None
        self.error_output: Any = None
        self._variables = variables

    def output(self, state: Mapping[str, Any], default: Any) -> Any:
        return self.evaluate(state["Output"]) if "Output" in state else default

    def assign(self, state: Mapping[str, Any]) -> None:
        """Set variables; on AWS all of them are computed from the old values."""
        self._variables.update({name: self.evaluate(value) for name, value in state.get("Assign", {}).items()})

    def evaluate(self, template: Any) -> Any:
        if isinstance(template, dict):
            return {key: self.evaluate(value) for key, value in template.items()}
        if isinstance(template, list):
            return [self.evaluate(item) for item in template]
        if not (isinstance(template, str) and template.startswith("{%")):
            return template
        assert template.endswith("%}"), template
        code = template[2:-2].strip()
        value = self._jsonata(code)
        if value is None:
            # Step Functions cannot represent an undefined value and ends the state with this error.
            raise TaskError("States.QueryEvaluationError", f"undefined: {code}")
        return value

    def _jsonata(self, code: str) -> Any:
        expression = jsonata.Jsonata.jsonata(code)
        expression.register_lambda("hash", _digest)
        expression.register_lambda("uuid", lambda: str(uuid.uuid4()))
        expression.register_lambda("parse", json.loads)
        expression.register_lambda("millis", lambda: self.execution.waited * 1000)
        states = {
            "input": self.data,
            "result": self.result,
            "errorOutput": self.error_output,
            "context": {"Execution": {"Id": self.execution.arn}},
        }
        value = expression.evaluate(None, {**self._variables, "states": states})
        return json.loads(json.dumps(value))


def _digest(text: str, algorithm: str) -> str:
    assert algorithm == "SHA-256"
    return hashlib.sha256(text.encode()).hexdigest()


def _may_repeat(state: Mapping[str, Any], error: str, attempts: dict[int, int]) -> bool:
    for index, retrier in enumerate(state.get("Retry", [])):
        if {"States.ALL", error} & set(retrier["ErrorEquals"]):
            attempts[index] = attempts.get(index, 0) + 1
            return bool(attempts[index] <= retrier["MaxAttempts"])
    return False

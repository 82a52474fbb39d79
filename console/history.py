"""An execution's history, read as the steps that people know."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from console.progress import StepProgress, StepStatus
from contract.names import Step

_ENDS: Final = ("ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut")
_JOB_ARNS: Final = ("TrainingJobArn", "HyperParameterTuningJobArn")
# These steps run a job in the state that bears the step's bare name; an execution that passes only through their
# "<step>: <detail>" states has found the result of an earlier one.
_REUSABLE: Final = (Step.PREPARE, Step.EXTRACT, Step.TUNE)


@dataclass(frozen=True)
class Visit:
    """One stay in one state; ``left`` is None while it lasts."""

    state: str
    entered: datetime
    left: datetime | None = None

    @property
    def step(self) -> Step | None:
        """The step that the state belongs to, by its name."""
        name = self.state.split(":", 1)[0].strip()
        return Step(name) if name in set(Step) else None

    @property
    def detail(self) -> str:
        """What the state's name adds to the step's."""
        return self.state.partition(":")[2].strip()


class History:
    """Collects events in order, without ever needing one twice."""

    def __init__(self) -> None:
        self.last_id = 0
        self.visits: list[Visit] = []
        self.jobs: dict[Step, str] = {}
        # Whether one training job runs all trials, instead of SageMaker's tuner.
        self.is_swept = False
        self.ended: datetime | None = None

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take in the events after ``last_id``."""
        for event in sorted(events, key=lambda event: int(event["id"])):
            if event["id"] > self.last_id:
                self.last_id = int(event["id"])
                self._take(str(event["type"]), event)

    def _take(self, kind: str, event: Mapping[str, Any]) -> None:
        at: datetime = event["timestamp"]
        if kind.endswith("StateEntered"):
            # A state whose error was caught may never be reported as left.
            self._leave(at)
            self.visits.append(Visit(event["stateEnteredEventDetails"]["name"], at))
        elif kind.endswith("StateExited"):
            self._leave(at)
        elif kind == "TaskSubmitted":
            self._note_job(event["taskSubmittedEventDetails"])
        elif kind in _ENDS:
            self._leave(at)
            self.ended = at

    def _note_job(self, details: Mapping[str, Any]) -> None:
        """Keep the name of the job that the current step has started: the last part of its ARN."""
        step = self.visits[-1].step if self.visits else None
        answer = json.loads(details.get("output") or "{}")
        for key in _JOB_ARNS:
            if step is not None and key in answer:
                self.jobs[step] = str(answer[key]).rsplit("/", 1)[-1]
                self.is_swept |= step is Step.TUNE and key == "TrainingJobArn"

    def _leave(self, at: datetime) -> None:
        if self.visits and self.visits[-1].left is None:
            self.visits[-1] = replace(self.visits[-1], left=at)

    def steps(self, now: datetime, status: str) -> tuple[StepProgress, ...]:
        """Return every step, given the execution's status."""
        visited = [visit.step for visit in self.visits if visit.step is not None]
        current = visited[-1] if visited else None
        return tuple(self._step(step, now, status, current) for step in Step)

    def _step(self, step: Step, now: datetime, status: str, current: Step | None) -> StepProgress:
        visits = [visit for visit in self.visits if visit.step is step]
        seconds = sum(((visit.left or now) - visit.entered).total_seconds() for visit in visits)
        if step is current and status != "SUCCEEDED":
            is_running = status in ("RUNNING", "PENDING_REDRIVE")
            return StepProgress(
                step, StepStatus.RUNNING if is_running else StepStatus.FAILED, seconds, visits[-1].detail
            )
        steps = list(Step)
        if current is None or steps.index(step) > steps.index(current):
            return StepProgress(step)
        # Also true of a step that was passed by altogether.
        reused = step in _REUSABLE and all(visit.state != step for visit in visits)
        return StepProgress(step, StepStatus.REUSED if reused else StepStatus.DONE, seconds)

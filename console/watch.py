"""Watching one execution: asks the cloud for news and puts them together."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from console.cloud import Cloud
from console.errors import ConsoleError
from console.history import History
from console.jobs import SweepWatch, TrainingWatch, TuningWatch
from console.progress import Progress
from contract.names import Step

# A laptop that slept, a train in a tunnel: the execution goes on meanwhile, so watching it may go on afterwards.
PATIENCE_SECONDS: Final = 300.0
_PAGE: Final = 200
_REFRESH_SECONDS: Final = 0.25


class Display(Protocol):
    """Shows progress."""

    def update(self, progress: Progress) -> None:
        """Show what is new."""

    def tick(self) -> None:
        """Let the clocks go on; called several times a second."""


class Watch:
    """One execution."""

    def __init__(self, cloud: Cloud, execution_arn: str) -> None:
        self._cloud = cloud
        self._states = cloud.client("stepfunctions")
        self._arn = execution_arn
        self._history = History()
        self._tuning: TuningWatch | SweepWatch | None = None
        self._training: TrainingWatch | None = None

    def poll(self) -> Progress:
        """Look at everything once."""
        # The status first: a history read after the end is complete.
        execution = self._states.describe_execution(executionArn=self._arn)
        self._history.add(self._new_events())
        status = str(execution["status"])
        now = self._history.ended or execution.get("stopDate") or datetime.now(UTC)
        steps = self._history.steps(now, status)
        self._poll_jobs()
        return Progress(
            status=status,
            started=execution["startDate"],
            now=now,
            steps=steps,
            trials=self._tuning.trials if self._tuning else (),
            trials_planned=self._tuning.planned if self._tuning else None,
            training=self._training.training if self._training else None,
            error=execution.get("error", ""),
            cause=execution.get("cause", ""),
            output=json.loads(execution.get("output") or "{}") if status == "SUCCEEDED" else {},
        )

    def _new_events(self) -> list[Mapping[str, Any]]:
        """Return the events not yet seen, without reading a long history from its beginning again."""
        events: list[Mapping[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            page = self._states.get_execution_history(
                executionArn=self._arn, reverseOrder=True, maxResults=_PAGE, includeExecutionData=True, **more
            )
            events += page["events"]
            oldest = page["events"][-1]["id"] if page["events"] else 0
            if "nextToken" not in page or oldest <= self._history.last_id + 1:
                return events
            more = {"nextToken": page["nextToken"]}

    def _poll_jobs(self) -> None:
        jobs = self._history.jobs
        if self._training is None:
            if self._tuning is None and Step.TUNE in jobs:
                kind = SweepWatch if self._history.is_swept else TuningWatch
                self._tuning = kind(self._cloud, jobs[Step.TUNE])
            if self._tuning is not None:
                self._tuning.poll()  # the last time in the look that finds the training, so with all trials over
            if Step.TRAIN in jobs:
                self._training = TrainingWatch(self._cloud, jobs[Step.TRAIN])
        if self._training is not None:
            self._training.poll()


def follow(watch: Watch, display: Display, cloud: Cloud) -> Progress:
    """Show an execution until it ends; returns its last state.

    Raises:
        ConsoleError: the cloud is gone, or has not answered for PATIENCE_SECONDS; on AWS the execution may well go on.
    """
    silent_since: float | None = None
    while True:
        asked = time.monotonic()
        try:
            progress = watch.poll()
        except BotoCoreError as error:
            cloud.check_alive()
            silent_since = silent_since or asked
            if asked - silent_since > PATIENCE_SECONDS:
                raise ConsoleError(f"The cloud does not answer any more: {error}") from error
        except ClientError as error:
            raise ConsoleError(f"Watching is over: {error}") from error
        else:
            silent_since = None
            display.update(progress)
            if progress.is_over:
                return progress
        while time.monotonic() - asked < cloud.poll_seconds:
            time.sleep(_REFRESH_SECONDS)
            display.tick()

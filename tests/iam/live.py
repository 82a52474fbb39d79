"""A deployed stage under examination: its executions, its trail, and what an exercise of a role came to."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_cloud.trail import Evaluation, former_part
from tests.end_to_end.local_stage import LocalStage
from tests.iam.recording import Recording
from tests.iam.roles import Role, Statement
from tests.iam.usage import grants

_POLL_SECONDS = 0.3
_LONGEST_SECONDS = 400.0
# Who lacks these works all the same, and what it would have written is lost.
_TELEMETRY = ("logs:", "cloudwatch:PutMetricData", "xray:")
# A rule's target is reached, or not, after everything else is over.
_DELIVERY = "events.amazonaws.com"
# How a refusal reads after those have worded it whom it stopped.
_REFUSED = re.compile(r"AccessDenied|Access Denied|not authorized|Forbidden|\b403\b|answered 5\d\d|Failed to download")
# How long an execution that fails may take to give back what it holds.
_GIVING_BACK_SECONDS = 4.0
_DELIVERY_SECONDS = 1.5
# Until a stopped execution has told its job.
_STOP_SECONDS = 2.0


@dataclass(frozen=True)
class Outcome:
    """What one exercise of a role showed; without a refusal, the statement was not missed.

    ``answer`` is what a function said, for the case that nobody knows why it was not.
    """

    refused: Evaluation | None
    consequence: str = ""
    answer: str = ""

    @property
    def is_miss(self) -> bool:
        """Whether the lack of the statement had a consequence."""
        return self.refused is not None and bool(self.consequence)


@dataclass
class TrailReader:
    """Reads a trail while it grows."""

    path: Path
    everything: list[Evaluation] = field(default_factory=list)
    _file: int = 0
    _read: int = 0

    def update(self) -> list[Evaluation]:
        """Return everything so far."""
        if self.path.exists():
            file = self.path.stat().st_ino
            if file != self._file:
                former = former_part(self.path)
                if self._file and former.exists() and former.stat().st_ino == self._file:
                    self._take(former)
                self._file, self._read = file, 0
            self._take(self.path)
        return self.everything

    def _take(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        self.everything += [Evaluation(**json.loads(line)) for line in whole.splitlines()]


class Subject:
    """A deployed stage, and the ways in which its roles are exercised."""

    def __init__(self, stage: LocalStage) -> None:
        """Examine a running stage."""
        self.stage = stage
        self.trail = TrailReader(stage.checkout.root / "build" / "local-cloud" / "permissions.jsonl")
        self.states = stage.client("stepfunctions")
        self.machine: str = stage.variables["PEDIGREE_STATE_MACHINE"]
        self.definition: dict[str, Any] = json.loads(
            self.states.describe_state_machine(stateMachineArn=self.machine)["definition"]
        )
        self._count = 0

    def record(
        self, given: Mapping[str, Any], *, end_before: str = "", definition: Mapping[str, Any] | None = None
    ) -> Recording:
        """Run an execution that must succeed, of another definition if that is given, or to the step ``end_before``."""
        described = self._execute(_without_step(definition or self.definition, end_before), given, lambda: False)
        assert described["status"] == "SUCCEEDED", described
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=described["executionArn"])
        return Recording(self.definition, [event for page in pages for event in page["events"]])

    def execute(
        self, role: Role, statement: Statement, definition: Mapping[str, Any], given: Mapping[str, Any]
    ) -> Outcome:
        """Run an execution without a statement, and see whether and how that one is missed."""
        known = len(self.trail.update())

        def is_lost() -> bool:
            refused = self.refusal(role, statement, known)
            return refused is not None and refused.action.startswith(_TELEMETRY)

        described = self._execute(definition, given, is_lost, lambda: self.refusal(role, statement, known))
        if role.services == (_DELIVERY,):
            time.sleep(_DELIVERY_SECONDS)
            return self.judge(self.refusal(role, statement, known), "its notice is lost")
        refused = self.refusal(role, statement, known)
        if refused is None:
            return self.judge(refused, "")
        if described["status"] == "SUCCEEDED" and (untold := json.loads(described["output"]).get("notice_not_sent")):
            return self.judge(refused, f"its notice is lost: {untold}")
        if described["status"] != "FAILED":
            return self.judge(refused, "")
        cause = described.get("cause", "")
        if refused.action in cause or _REFUSED.search(cause):
            return self.judge(refused, f"the execution fails: {cause}")
        # It failed for another reason: the beginning in its middle had something missing.
        return self.judge(refused, "")

    def interrupt(
        self, role: Role, statement: Statement, definition: Mapping[str, Any], given: Mapping[str, Any], begun: str
    ) -> Outcome:
        """Stop an execution once it has been allowed the action ``begun``; what it started is to be stopped, too."""
        known = len(self.trail.update())

        def is_begun() -> bool:
            return any(each.role == role.arn and each.action == begun for each in self.trail.update()[known:])

        self._execute(definition, given, is_begun)
        time.sleep(_STOP_SECONDS)
        outcome = self.judge(self.refusal(role, statement, known), "what a stopped execution started runs on")
        sagemaker = self.stage.client("sagemaker")
        for job in sagemaker.list_hyper_parameter_tuning_jobs(StatusEquals="InProgress")[
            "HyperParameterTuningJobSummaries"
        ]:
            sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=job["HyperParameterTuningJobName"])
        for job in sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"]:
            sagemaker.stop_training_job(TrainingJobName=job["TrainingJobName"])
        return outcome

    def judge(self, refused: Evaluation | None, consequence: str) -> Outcome:
        """Return what a refusal, if there was one, led to."""
        if refused is not None and refused.action.startswith(_TELEMETRY) and refused.action not in consequence:
            return Outcome(refused, "its logs and metrics are lost")
        return Outcome(refused, consequence)

    def buckets(self) -> list[str]:
        """Return the stage's buckets."""
        names = [bucket["Name"] for bucket in self.stage.client("s3").list_buckets()["Buckets"]]
        return [name for name in names if name.startswith(self.stage.prefix)]

    def refusal(self, role: Role, statement: Statement, known: int) -> Evaluation | None:
        """Return the first refusal of what a statement would have allowed, after the known part of the trail."""
        return next(
            (
                each
                for each in self.trail.update()[known:]
                if not each.allowed and each.role == role.arn and grants(statement, each)
            ),
            None,
        )

    def _execute(
        self,
        definition: Mapping[str, Any],
        given: Mapping[str, Any],
        enough: Callable[[], bool],
        refusal: Callable[[], Evaluation | None] = lambda: None,
    ) -> dict[str, Any]:
        """Run an execution to its end, until ``enough``, or until it says that it fails for what was refused."""
        self.states.update_state_machine(stateMachineArn=self.machine, definition=json.dumps(definition))
        self._count += 1
        arn = self.stage.start(f"prove-{time.time_ns()}-{self._count}", **given)
        deadline = time.monotonic() + _LONGEST_SECONDS
        cause = ""
        try:
            while True:
                described: dict[str, Any] = self.states.describe_execution(executionArn=arn)
                if described["status"] != "RUNNING":
                    return described
                if not cause and (refused := refusal()) is not None:
                    cause = self._failure(arn, refused.time)
                    deadline = time.monotonic() + _GIVING_BACK_SECONDS if cause else deadline
                if enough() or time.monotonic() > deadline:
                    self.states.stop_execution(executionArn=arn)
                    if cause:
                        return {**described, "status": "FAILED", "cause": cause}
                time.sleep(_POLL_SECONDS)
        finally:
            self.states.update_state_machine(stateMachineArn=self.machine, definition=json.dumps(self.definition))
            self._tidy()

    def _failure(self, arn: str, since: float) -> str:
        """Return why an execution is going to fail, as it says itself before it gives back what it holds."""
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=arn)
        for event in (event for page in pages for event in page["events"]):
            assigned = event.get("stateExitedEventDetails", {}).get("assignedVariables", {})
            if "failure" in assigned and event["timestamp"].timestamp() >= since:
                failure = json.loads(assigned["failure"])
                return f"{failure.get('step')}: {failure.get('cause')}"
        return ""

    def _tidy(self) -> None:
        """Delete what a stopped execution could not: endpoints beside the one of the users."""
        sagemaker = self.stage.client("sagemaker")
        for endpoint in sagemaker.list_endpoints()["Endpoints"]:
            is_other = endpoint["EndpointName"] != self.stage.prefix
            if is_other and endpoint["EndpointStatus"] in ("InService", "Failed"):
                sagemaker.delete_endpoint(EndpointName=endpoint["EndpointName"])


def _without_step(definition: Mapping[str, Any], step: str) -> Mapping[str, Any]:
    """Return a definition that succeeds where a step would begin."""
    states = {
        name: {"Type": "Succeed"} if step and name.partition(":")[0] == step else state
        for name, state in definition["States"].items()
    }
    return {**definition, "States": states}


def sentence(refused: Evaluation) -> str:
    """Return the refusal in AWS's words."""
    user = refused.role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")
    return (
        f"User: {user}/{refused.session} is not authorized to perform: {refused.action} on resource: "
        f"{refused.resource} because no identity-based policy allows the {refused.action} action"
    )

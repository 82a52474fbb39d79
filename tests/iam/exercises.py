"""What makes a role do its work: executions that begin where it matters, functions asked directly, stacks changed."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from contract.inference import STATUS, ErrorCode
from contract.names import ApiPath
from infra.reaper.memory import TAG, Memory
from tests.iam import seeds
from tests.iam.live import Outcome, Subject
from tests.iam.recording import Recording
from tests.iam.roles import Role, Statement
from tests.iam.usage import grants
from training.toy import draw_photo, toy_photos

Exercise = Callable[[], Outcome]
_IN_BACKGROUND = ("sagemaker.amazonaws.com",)
_OF_MACHINES = ("states.amazonaws.com",)
_OF_EVENTS = ("events.amazonaws.com",)
# What EventBridge tells of: an execution that does not go through.
_FAILS = {
    "QueryLanguage": "JSONata",
    "StartAt": "Fail",
    "States": {"Fail": {"Type": "Fail", "Error": "Proof", "Cause": "it was to fail"}},
}
_STACK_SECONDS = 240.0
# How an endpoint keeps what it was asked and answered, and after which time at the latest.
_KEEPS = ("s3:PutObject", "kms:GenerateDataKey")
_CAPTURE_SECONDS = 30.0
_LOG_SECONDS = 5.0
# A function's log lines are written after its answer.
_LOGS_SECONDS = 0.5
# The front door keeps what it read of the model in production for ten seconds.
_REMEMBERED_SECONDS = 12.0
# What an execution that is stopped has to stop, and what had started that.
_STOPS = {
    "sagemaker:StopTrainingJob": "createTrainingJob",
    "sagemaker:StopHyperParameterTuningJob": "createHyperParameterTuningJob",
}
# Long enough ago for every setting of the reaper.
_LONG = timedelta(days=30)


class Exercises:
    """Everything that can be done with a stage, for one statement after the other."""

    def __init__(self, subject: Subject, given: dict[str, Any]) -> None:
        """Exercise the roles of a stage; ``given`` is the input of its executions."""
        self.subject = subject
        self.recordings: list[Recording] = []
        self._given = given
        self._seed = 100
        self._functions: dict[str, str] = {
            function["Role"]: function["FunctionName"]
            for page in subject.stage.client("lambda").get_paginator("list_functions").paginate()
            for function in page["Functions"]
        }

    def of(self, role: Role, statement: Statement) -> Iterator[Exercise]:
        """Yield exercises, cheap ones first, until the caller has seen enough."""
        if role.services == _OF_MACHINES and statement.actions[0] in _STOPS:
            yield lambda: self._interrupt(role, statement)
            return
        if role.services == _OF_EVENTS:
            yield lambda: self.subject.execute(role, statement, _FAILS, self._given)
            return
        if role.arn in self._functions and self._is_behind_the_api(role):
            yield lambda: self._post(role, statement)
            yield lambda: self._ask_all_of_the_api(role, statement)
        # What works by a schedule may have worked beside an execution, which does not ask it for anything.
        asked = [] if self._is_asked_directly(role) else list(self._asked(role, statement))
        for recording, moment in asked:
            background = role.services == _IN_BACKGROUND
            for definition in recording.beginnings(moment, in_background=background):
                yield lambda definition=definition: self.subject.execute(role, statement, definition, self._given)  # type: ignore[misc]
        if role.services == _IN_BACKGROUND and any(action in _KEEPS for action in statement.actions):
            yield lambda: self._post_and_wait(role, statement)
        if asked:
            yield lambda: self.subject.execute(role, statement, self.subject.definition, self._fresh())
        elif self._is_asked_directly(role):
            for told in (None, datetime.now(UTC) - _LONG + timedelta(days=10)):
                yield lambda told=told: self._remind_and_invoke(role, statement, told)  # type: ignore[misc]
        elif role.arn in self._functions and self._was_asked(role, statement):
            yield lambda: self._ask_resource(role, statement)

    def at_the_end(self, role: Role, statement: Statement) -> Iterator[Exercise]:
        """Yield exercises that nothing can follow but the end of the stage."""
        if role.arn in self._functions and self._is_custom_resource(role):
            yield lambda: self._delete_stack(role, statement)

    def delete_stack(self, name: str) -> None:
        """Delete a stack with every permission in place.

        Raises:
            AssertionError: it stays.
        """
        stack = self._describe(name)
        self.subject.stage.client("cloudformation").delete_stack(StackName=name)
        ended = self._wait(stack["StackId"])
        assert ended["StackStatus"] == "DELETE_COMPLETE", self._reasons(stack["StackId"])

    def _asked(self, role: Role, statement: Statement) -> Iterator[tuple[Recording, float]]:
        """Yield when the recorded executions first asked for what a statement allows, the latest execution first."""
        mine = [each for each in self.subject.trail.update() if each.role == role.arn and grants(statement, each)]
        for recording in reversed(self.recordings):
            moments = [each.time for each in mine if recording.covers(each.time)]
            if moments:
                yield recording, min(moments)

    def _was_asked(self, role: Role, statement: Statement) -> bool:
        return any(each.role == role.arn and grants(statement, each) for each in self.subject.trail.update())

    def _fresh(self) -> dict[str, Any]:
        """Return an input for which nothing can be reused."""
        self._seed += 1
        return {**self._given, "seed": self._seed}

    def _is_asked_directly(self, role: Role) -> bool:
        """Whether a function has the role that neither an execution calls, nor the API, nor CloudFormation."""
        name = self._functions.get(role.arn)
        if name is None or name in json.dumps(self.subject.definition):
            return False
        return not self._is_custom_resource(role) and not self._is_behind_the_api(role)

    def _is_custom_resource(self, role: Role) -> bool:
        return self._is_named_in(role, lambda resource: resource.get("Properties", {}).get("ServiceToken"))

    def _is_behind_the_api(self, role: Role) -> bool:
        is_method = "AWS::ApiGateway::Method"
        return self._is_named_in(role, lambda each: each["Properties"] if each["Type"] == is_method else None)

    def _is_named_in(self, role: Role, part: Callable[[dict[str, Any]], Any]) -> bool:
        """Whether a part of some resource of the role's stack names a function that has the role."""
        resources = self._template(role.stack)["Resources"]
        functions = [
            name
            for name, resource in resources.items()
            if resource["Type"] == "AWS::Lambda::Function"
            and role.logical_id in json.dumps(resource["Properties"].get("Role"))
        ]
        parts = [json.dumps(part(resource)) for resource in resources.values()]
        return any(function in each for function in functions for each in parts)

    def _template(self, stack: str) -> dict[str, Any]:
        body = self.subject.stage.client("cloudformation").get_template(StackName=stack)["TemplateBody"]
        template: dict[str, Any] = body if isinstance(body, dict) else json.loads(body)
        return template

    def _post_and_wait(self, role: Role, statement: Statement) -> Outcome:
        """Send a photo to the API, and wait until the endpoint keeps what it was asked and answered."""
        known = len(self.subject.trail.update())
        self.subject.stage.post(draw_photo(toy_photos(seed=0)[0]))
        deadline = time.monotonic() + _CAPTURE_SECONDS
        while self.subject.refusal(role, statement, known) is None and time.monotonic() < deadline:
            time.sleep(0.5)
        return self._judge(role, statement, known, "it is not written", "what the endpoint would have kept is lost")

    def _post(self, role: Role, statement: Statement) -> Outcome:
        """Send a photo to the API."""
        known = len(self.subject.trail.update())
        answer = self.subject.stage.post(draw_photo(toy_photos(seed=0)[0]))
        time.sleep(_LOGS_SECONDS)
        failure = f"{answer.status_code} {answer.text}" if answer.status_code >= 500 else ""
        # A function's log is written behind its answer.
        deadline = time.monotonic() + _LOG_SECONDS
        while not failure and self.subject.refusal(role, statement, known) is None and time.monotonic() < deadline:
            time.sleep(0.2)
        return self._judge(role, statement, known, failure, "the API answers with an error")

    def _ask_all_of_the_api(self, role: Role, statement: Statement) -> Outcome:
        """Ask the API everything besides a photo's breed, until what it remembers from before is forgotten."""
        known, deadline = len(self.subject.trail.update()), time.monotonic() + _REMEMBERED_SECONDS
        failure = self._wrong_in_api()
        while self.subject.refusal(role, statement, known) is None and time.monotonic() < deadline:
            time.sleep(1)
            failure = self._wrong_in_api()
        return self._judge(role, statement, known, failure, "the API answers with an error")

    def _wrong_in_api(self) -> str:
        """Return what of the API does not answer as it should; nothing where all of it does."""
        stage = self.subject.stage
        health, breeds = stage.api("GET", ApiPath.HEALTH), stage.api("GET", ApiPath.BREEDS)
        if health.is_error or breeds.is_error:
            return f"health {health.status_code}, breeds {breeds.status_code}"
        knows_accuracy = (health.json()["model"] or {}).get("accuracy") is not None
        example = stage.api("GET", breeds.json()["breeds"][0]["example"])
        name, sent = stage.send_upload(draw_photo(toy_photos(seed=0)[0]))
        uploaded = stage.api("POST", ApiPath.PREDICT, json={"upload": name})
        absent = stage.api("POST", ApiPath.PREDICT, json={"upload": "a" * len(name)})
        statuses = {"example": example, "upload": sent, "uploaded": uploaded}
        wrong = [] if knows_accuracy else ["health knows no accuracy"]
        wrong += [f"{what} {answer.status_code}" for what, answer in statuses.items() if answer.is_error]
        if absent.status_code != STATUS[ErrorCode.NOT_FOUND]:
            wrong.append(f"an upload that is not there {absent.status_code}")
        return ", ".join(wrong)

    def _interrupt(self, role: Role, statement: Statement) -> Outcome:
        """Stop an execution while a job of it runs."""
        operation = _STOPS[statement.actions[0]]
        recording = self.recordings[0]  # nothing was there that it could have reused
        moment = next(recording.calls(operation))
        definition = next(recording.beginnings(moment, in_background=False))
        begun = f"sagemaker:{operation[0].upper()}{operation[1:]}"
        return self.subject.interrupt(role, statement, definition, self._given, begun)

    def _remind_and_invoke(self, role: Role, statement: Statement, told: datetime | None) -> Outcome:
        """Ask the function that looks at the endpoint now and then; it has seen it, and told of it, long ago."""
        endpoint = seeds.production_endpoint(self.subject, self.recordings)
        sagemaker = self.subject.stage.client("sagemaker")
        memory = Memory(endpoint["EndpointConfigName"], datetime.now(UTC) - _LONG, told)
        sagemaker.add_tags(ResourceArn=endpoint["EndpointArn"], Tags=[{"Key": TAG, "Value": str(memory)}])
        known = len(self.subject.trail.update())
        answer = self.subject.stage.client("lambda").invoke(FunctionName=self._functions[role.arn], Payload=b"{}")
        text = answer["Payload"].read().decode()
        found = self._judge(role, statement, known, text if "FunctionError" in answer else "", "the function fails")
        return replace(found, answer=text)

    def _ask_resource(self, role: Role, statement: Statement) -> Outcome:
        """Ask the function of a custom resource what CloudFormation asks when the resource is changed."""
        seeds.plant(self.subject, self.recordings, statement.actions)
        known = len(self.subject.trail.update())
        function, failures = self._functions[role.arn], []
        for logical_id, resource in self._template(role.stack)["Resources"].items():
            token = resource.get("Properties", {}).get("ServiceToken")
            if token is not None and function == self._resolved(role.stack, {"Ref": token["Fn::GetAtt"][0]}):
                failures.append(self._change_resource(role.stack, logical_id, resource["Properties"], function))
        return self._judge(role, statement, known, "; ".join(filter(None, failures)), "the stack's update fails")

    def _change_resource(self, stack: str, logical_id: str, properties: dict[str, Any], function: str) -> str:
        """Return why a custom resource cannot be changed; nothing if it can."""
        s3 = self.subject.stage.client("s3")
        bucket = next(each["Name"] for each in s3.list_buckets()["Buckets"] if each["Name"].startswith("cdk-"))
        event = {
            "RequestType": "Update",
            "ResponseURL": s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": logical_id}),
            "StackId": self._describe(stack)["StackId"],
            "RequestId": "prove",
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": self._resolved(stack, {"Ref": logical_id}),
            "ResourceProperties": self._resolved(stack, properties),
        }
        self.subject.stage.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
        answer = json.loads(s3.get_object(Bucket=bucket, Key=logical_id)["Body"].read())
        return "" if answer["Status"] == "SUCCESS" else str(answer["Reason"])

    def _resolved(self, stack: str, value: Any) -> Any:
        """Return a property with the names of resources in place of references; other functions stay as they are."""
        if isinstance(value, dict) and value.keys() == {"Ref"} and not value["Ref"].startswith("AWS::"):
            found = self.subject.stage.client("cloudformation").describe_stack_resource(
                StackName=stack, LogicalResourceId=value["Ref"]
            )
            return found["StackResourceDetail"]["PhysicalResourceId"]
        if isinstance(value, dict):
            return {name: self._resolved(stack, each) for name, each in value.items()}
        return [self._resolved(stack, each) for each in value] if isinstance(value, list) else value

    def _delete_stack(self, role: Role, statement: Statement) -> Outcome:
        seeds.plant(self.subject, self.recordings, statement.actions)
        known = len(self.subject.trail.update())
        stack = self._describe(role.stack)
        self.subject.stage.client("cloudformation").delete_stack(StackName=role.stack)
        ended = self._wait(stack["StackId"])
        failure = "" if ended["StackStatus"] == "DELETE_COMPLETE" else self._reasons(stack["StackId"])
        return self._judge(role, statement, known, failure, "the stack's deletion fails")

    def _judge(self, role: Role, statement: Statement, known: int, failure: str, words: str) -> Outcome:
        return self.subject.judge(
            self.subject.refusal(role, statement, known), f"{words}: {failure}" if failure else ""
        )

    def _describe(self, name: str) -> dict[str, Any]:
        found: Sequence[dict[str, Any]] = self.subject.stage.client("cloudformation").describe_stacks(StackName=name)[
            "Stacks"
        ]
        return found[0]

    def _wait(self, stack_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + _STACK_SECONDS
        while (stack := self._describe(stack_id))["StackStatus"].endswith("_IN_PROGRESS"):
            assert time.monotonic() < deadline, stack
            time.sleep(0.3)
        return stack

    def _reasons(self, stack_id: str) -> str:
        events = self.subject.stage.client("cloudformation").describe_stack_events(StackName=stack_id)["StackEvents"]
        reasons = [
            each.get("ResourceStatusReason", "") for each in events if each["ResourceStatus"].endswith("_FAILED")
        ]
        # What stays only because something else does is not the reason.
        own = [each for each in reasons if not each.startswith("The following") and "needs it" not in each]
        return "; ".join(own[:1])

"""Application Auto Scaling's API, over records on disk and SageMaker's own operations."""

import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from local_cloud.autoscaling.names import NAMESPACE, SERVICE, target_arn
from local_cloud.autoscaling.records import Kind, Place, check_scope, key_of, not_found, page
from local_cloud.sagemaker.errors import unknown_operation, validation
from local_cloud.sagemaker.store import Record, Store
from local_cloud.sagemaker.validation import checked
from local_cloud.sagemaker.wire import now

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
_ROLE: Final = (
    f"aws-service-role/{NAMESPACE}.{SERVICE}.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
_RUNNING: Final = {
    "DynamicScalingInSuspended": False,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": False,
}
_SCHEDULES: Final = ("at(", "rate(", "cron(")


class ScalingService:
    """Scalable targets, their policies and scheduled actions; every method may be called from any thread."""

    def __init__(self, folder: Path, place: Place, sagemaker: Call) -> None:
        """Keep records below ``folder``; ``sagemaker`` carries out its operations, as ``SageMakerService.handle``."""
        self._store = Store(folder, Kind)
        self._place = place
        self._sagemaker = sagemaker
        # A target's policies and actions go with it: none may come in between.
        self._lock = threading.Lock()
        self._operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "RegisterScalableTarget": self._register,
            "DescribeScalableTargets": self._describe_targets,
            "DeregisterScalableTarget": self._deregister,
            "PutScalingPolicy": self._put_policy,
            "DescribeScalingPolicies": self._describe_policies,
            "DeleteScalingPolicy": self._delete_policy,
            "PutScheduledAction": self._put_action,
            "DescribeScheduledActions": self._describe_actions,
            "DeleteScheduledAction": self._delete_action,
        }

    def start(self) -> None:
        """Read what an earlier process kept."""
        self._store.load()

    def handle(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one operation, checked against botocore's model of the service.

        Raises:
            ServiceError: the request is refused.
        """
        known = checked(operation, request, SERVICE)
        work = self._operations.get(operation)
        if work is None:
            raise unknown_operation(operation)
        with self._lock:
            return work(known)

    def _register(self, request: Mapping[str, Any]) -> dict[str, Any]:
        endpoint, variant = check_scope(request)
        current = self._count(endpoint, variant)
        known = self._store.get(Kind.TARGET, key_of(request))
        shown: dict[str, Any] = {"CreationTime": now(), "SuspendedState": _RUNNING, **(known.shown if known else {})}
        shown |= {key: value for key, value in request.items() if key not in ("Tags", "RoleARN")}
        if "MinCapacity" not in shown or "MaxCapacity" not in shown:
            raise validation("MinCapacity and MaxCapacity are required to register a scalable target.")
        low, high = shown["MinCapacity"], shown["MaxCapacity"]
        if not 1 <= low <= high:
            raise validation(f"MinCapacity {low} must be at least 1 and not above MaxCapacity {high}.")
        arn = target_arn(request["ResourceId"], request["ScalableDimension"], self._place.region, self._place.account)
        shown |= {"ScalableTargetARN": arn, "RoleARN": f"arn:aws:iam::{self._place.account}:role/{_ROLE}"}
        self._store.put(Kind.TARGET, key_of(request), Record(shown))
        self._resize(endpoint, variant, current, min(max(current, low), high))
        return {"ScalableTargetARN": arn}

    def _deregister(self, request: Mapping[str, Any]) -> dict[str, Any]:
        check_scope(request)
        if not self._store.remove(Kind.TARGET, key_of(request)):
            raise not_found("scalable target found", request)
        for kind in (Kind.POLICY, Kind.ACTION):
            for name in self._store.names(kind):
                if name.startswith(key_of(request, "")):
                    self._store.remove(kind, name)
        return {}

    def _put_policy(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._must_be_registered(request)
        name = request["PolicyName"]
        known = self._store.get(Kind.POLICY, key_of(request, name))
        kind = request.get("PolicyType") or (known.shown["PolicyType"] if known else "StepScaling")
        configuration = f"{kind}PolicyConfiguration"
        if configuration not in request:
            raise validation(f"{configuration} is required for policies of type {kind}.")
        shown = dict(request) | {
            "PolicyType": kind,
            "PolicyARN": known.shown["PolicyARN"] if known else self._arn("scalingPolicy", request, "policyName", name),
            "Alarms": [],
            "CreationTime": known.shown["CreationTime"] if known else now(),
        }
        self._store.put(Kind.POLICY, key_of(request, name), Record(shown))
        return {"PolicyARN": shown["PolicyARN"], "Alarms": []}

    def _delete_policy(self, request: Mapping[str, Any]) -> dict[str, Any]:
        check_scope(request)
        if not self._store.remove(Kind.POLICY, key_of(request, request["PolicyName"])):
            raise not_found("scaling policy found", request, request["PolicyName"])
        return {}

    def _put_action(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._must_be_registered(request)
        name = request["ScheduledActionName"]
        known = self._store.get(Kind.ACTION, key_of(request, name))
        shown = (known.shown if known else {"CreationTime": now()}) | dict(request)
        if not str(shown.get("Schedule", "")).startswith(_SCHEDULES):
            raise validation(f"Invalid schedule expression: {shown.get('Schedule')} (at(...), rate(...) or cron(...))")
        action = shown.get("ScalableTargetAction", {})
        if not action:
            raise validation("ScalableTargetAction must have MinCapacity, MaxCapacity or both.")
        if action.get("MinCapacity", 0) > action.get("MaxCapacity", float("inf")):
            raise validation("ScalableTargetAction.MinCapacity is above its MaxCapacity.")
        shown.setdefault("ScheduledActionARN", self._arn("scheduledAction", request, "scheduledActionName", name))
        self._store.put(Kind.ACTION, key_of(request, name), Record(shown))
        return {}

    def _delete_action(self, request: Mapping[str, Any]) -> dict[str, Any]:
        check_scope(request)
        if not self._store.remove(Kind.ACTION, key_of(request, request["ScheduledActionName"])):
            raise not_found("scheduled action found", request, request["ScheduledActionName"])
        return {}

    def _describe_targets(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return page("ScalableTargets", self._shown(Kind.TARGET), request, {"ResourceIds": "ResourceId"})

    def _describe_policies(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return page("ScalingPolicies", self._shown(Kind.POLICY), request, {"PolicyNames": "PolicyName"})

    def _describe_actions(self, request: Mapping[str, Any]) -> dict[str, Any]:
        wanted = {"ScheduledActionNames": "ScheduledActionName"}
        return page("ScheduledActions", self._shown(Kind.ACTION), request, wanted)

    def _shown(self, kind: Kind) -> list[dict[str, Any]]:
        return [record.shown for record in self._store.all(kind)]

    def _must_be_registered(self, request: Mapping[str, Any]) -> None:
        check_scope(request)
        if self._store.get(Kind.TARGET, key_of(request)) is None:
            raise not_found("scalable target registered", request)

    def _count(self, endpoint: str, variant: str) -> int:
        """Return how many instances a variant wants.

        Raises:
            ServiceError: there is no such variant, or its endpoint cannot be scaled now.
        """
        described = self._sagemaker("DescribeEndpoint", {"EndpointName": endpoint})
        if described["EndpointStatus"] != "InService":
            raise validation(
                f"The endpoint {endpoint} must be InService to be scaled; its status is {described['EndpointStatus']}."
            )
        found = [v for v in described["ProductionVariants"] if v["VariantName"] == variant]
        if not found:
            raise validation(f"The endpoint {endpoint} has no variant {variant}.")
        if "DesiredInstanceCount" not in found[0]:
            raise validation(f"The variant {variant} of endpoint {endpoint} has no instances to scale.")
        count: int = found[0]["DesiredInstanceCount"]
        return count

    def _resize(self, endpoint: str, variant: str, current: int, wanted: int) -> None:
        if current != wanted:
            desired = [{"VariantName": variant, "DesiredInstanceCount": wanted}]
            request = {"EndpointName": endpoint, "DesiredWeightsAndCapacities": desired}
            self._sagemaker("UpdateEndpointWeightsAndCapacities", request)

    def _arn(self, kind: str, request: Mapping[str, Any], word: str, name: str) -> str:
        where = f"arn:aws:autoscaling:{self._place.region}:{self._place.account}"
        return f"{where}:{kind}:{uuid.uuid4()}:resource/{NAMESPACE}/{request['ResourceId']}:{word}/{name}"

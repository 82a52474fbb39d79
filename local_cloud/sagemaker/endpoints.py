"""Endpoints: created, updated blue/green, resized, deleted."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.endpoint_changes import EndpointChanges
from local_cloud.sagemaker.endpoint_records import EndpointRecords
from local_cloud.sagemaker.errors import validation
from local_cloud.sagemaker.fleets import Fleets
from local_cloud.sagemaker.hosting import already_exists, could_not_find
from local_cloud.sagemaker.listing import Listing
from local_cloud.sagemaker.model_server import ModelServer
from local_cloud.sagemaker.rollout import Plan, plan_of
from local_cloud.sagemaker.store import Kind, Record, Store
from local_cloud.sagemaker.wire import now

_SETTLED: Final = frozenset({"InService", "Failed", "OutOfService"})
_LISTING: Final = Listing(
    "Endpoints",
    "EndpointName",
    frozenset({"EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus"}),
    status="EndpointStatus",
)


class Endpoints:
    """All endpoints: their operations."""

    def __init__(self, config: ServiceConfig, store: Store) -> None:
        """Serve the records of ``store``."""
        self._config = config
        self._store = store
        self._records = EndpointRecords(config, store)
        self._fleets = Fleets()
        self._changes = EndpointChanges(config, store, self._records, self._fleets)

    def servers(self, name: str) -> Sequence[ModelServer] | None:
        """Return the servers that take an endpoint's next request; None if there is no such endpoint in service."""
        return self._fleets.pick(name)

    def create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateEndpoint."""
        name, config_name = request["EndpointName"], request["EndpointConfigName"]
        self._plan(request, self._config_of(config_name))
        moment = now()
        shown = {
            "EndpointName": name,
            "EndpointArn": self._config.arn("endpoint", name),
            "EndpointConfigName": config_name,
            "EndpointStatus": "Creating",
            "CreationTime": moment,
            "LastModifiedTime": moment,
        }
        if "DeploymentConfig" in request:
            shown["LastDeploymentConfig"] = request["DeploymentConfig"]
        if not self._store.add(Kind.ENDPOINT, name, Record(shown, {"servers": [], "processes": {}})):
            raise already_exists(self._config, Kind.ENDPOINT, name)
        self._changes.create(name, config_name)
        return {"EndpointArn": shown["EndpointArn"]}

    def update(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateEndpoint."""
        name, config_name = request["EndpointName"], request["EndpointConfigName"]
        self._records.get(name)
        config = self._config_of(config_name)
        with self._store.edit(Kind.ENDPOINT, name) as record:
            shown = record.shown
            if shown["EndpointStatus"] == "Failed":
                raise validation(f'Endpoint "{shown["EndpointArn"]}" has failed: it can only be deleted.')
            if shown["EndpointStatus"] != "InService":
                raise validation(f'Cannot update in-progress endpoint "{shown["EndpointArn"]}".')
            if request.get("RetainDeploymentConfig") and "LastDeploymentConfig" in shown:
                request = {"DeploymentConfig": shown["LastDeploymentConfig"], **request}
            plan = self._plan(request, config)
            counts = _kept_counts(request, shown)
            shown.pop("FailureReason", None)
            shown |= {
                "EndpointStatus": "Updating",
                "LastModifiedTime": now(),
                "PendingDeploymentSummary": {"EndpointConfigName": config_name, "StartTime": now()},
            }
            shown.pop("LastDeploymentConfig", None)
            if "DeploymentConfig" in request:
                shown["LastDeploymentConfig"] = request["DeploymentConfig"]
        self._changes.update(name, config_name, plan, counts)
        return {"EndpointArn": shown["EndpointArn"]}

    def resize(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateEndpointWeightsAndCapacities; one process serves a variant here, whatever its count of instances."""
        name = request["EndpointName"]
        self._records.get(name)
        wanted = {entry["VariantName"]: entry for entry in request["DesiredWeightsAndCapacities"]}
        with self._store.edit(Kind.ENDPOINT, name) as record:
            shown = record.shown
            if shown["EndpointStatus"] != "InService":
                raise validation(f'Cannot update in-progress endpoint "{shown["EndpointArn"]}".')
            variants = {variant["VariantName"]: variant for variant in shown["ProductionVariants"]}
            unknown = sorted(wanted.keys() - variants.keys())
            if unknown:
                raise validation(
                    f'Could not find variant(s) {", ".join(unknown)} of endpoint "{shown["EndpointArn"]}".'
                )
            for variant, entry in wanted.items():
                if "DesiredWeight" in entry:
                    raise validation("DesiredWeight is offered on AWS only: update the endpoint's configuration.")
                if "DesiredInstanceCount" in entry:
                    count = entry["DesiredInstanceCount"]
                    variants[variant] |= {"DesiredInstanceCount": count, "CurrentInstanceCount": count}
            shown["LastModifiedTime"] = now()
        return {"EndpointArn": shown["EndpointArn"]}

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeEndpoint."""
        return self._records.get(request["EndpointName"]).shown

    def list_endpoints(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListEndpoints."""
        return _LISTING.answer([record.shown for record in self._records.all()], request)

    def delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteEndpoint."""
        name = request["EndpointName"]
        self._records.get(name)
        with self._store.edit(Kind.ENDPOINT, name) as record:
            if record.shown["EndpointStatus"] not in _SETTLED:
                raise validation(f'Cannot update in-progress endpoint "{record.shown["EndpointArn"]}".')
            record.shown |= {"EndpointStatus": "Deleting", "LastModifiedTime": now()}
        self._fleets.end(self._fleets.remove(name))
        self._records.remove(name)
        return {}

    def restore(self) -> None:
        """After a stop or a crash: end what is left of the servers, and start those of endpoints in service again."""
        for record in self._records.all():
            self._changes.restore(record)

    def shut_down(self) -> None:
        """End every server; endpoints in service come back with ``restore``."""
        self._fleets.shut_down()
        self._changes.join()
        self._records.stopped()

    def _config_of(self, name: str) -> Record:
        record = self._store.get(Kind.ENDPOINT_CONFIG, name)
        if record is None:
            raise could_not_find(self._config, Kind.ENDPOINT_CONFIG, name)
        return record

    def _plan(self, request: Mapping[str, Any], config: Record) -> Plan:
        variants = config.shown["ProductionVariants"]
        return plan_of(request.get("DeploymentConfig"), sum(each.get("InitialInstanceCount", 1) for each in variants))


def _kept_counts(request: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, int]:
    """Return variant -> instances, of those that keep what scaling made of them."""
    left_out = {entry["VariantPropertyType"] for entry in request.get("ExcludeRetainedVariantProperties", [])}
    if not request.get("RetainAllVariantProperties") or "DesiredInstanceCount" in left_out:
        return {}
    return {each["VariantName"]: each["DesiredInstanceCount"] for each in shown["ProductionVariants"]}

"""Endpoints: created, updated blue/green, restored, deleted."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.deployment import Deployment, endpoint_folder
from local_cloud.sagemaker.errors import JobError, ServiceError, validation
from local_cloud.sagemaker.hosting import already_exists, could_not_find
from local_cloud.sagemaker.job_status import MAX_FAILURE_REASON
from local_cloud.sagemaker.listing import Listing
from local_cloud.sagemaker.model_server import ModelServer, ServerSpec
from local_cloud.sagemaker.processes import end_orphans
from local_cloud.sagemaker.s3 import S3_ERRORS
from local_cloud.sagemaker.store import Kind, Record, Store, remove_folder
from local_cloud.sagemaker.wire import now

_SETTLED = frozenset({"InService", "Failed", "OutOfService"})
_LISTING = Listing(
    "Endpoints",
    "EndpointName",
    frozenset({"EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus"}),
    status="EndpointStatus",
)


class Endpoints:
    """All endpoints and the servers behind them."""

    def __init__(self, config: ServiceConfig, store: Store) -> None:
        """Serve the records of ``store``."""
        self._config = config
        self._store = store
        self._lock = threading.Lock()
        self._live: dict[str, list[ModelServer]] = {}
        self._aside: set[ModelServer] = set()  # those that take no traffic yet, and no more
        self._threads: set[threading.Thread] = set()
        self._ending = threading.Event()

    def servers(self, name: str) -> list[ModelServer] | None:
        """Return the servers that take an endpoint's traffic; None if there is no such endpoint in service."""
        with self._lock:
            return self._live.get(name)

    def create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateEndpoint."""
        name, config_name = request["EndpointName"], request["EndpointConfigName"]
        self._must_have_config(config_name)
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
        self._in_background(name, lambda: self._deploy(name, config_name))
        return {"EndpointArn": shown["EndpointArn"]}

    def update(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateEndpoint."""
        name, config_name = request["EndpointName"], request["EndpointConfigName"]
        self._get(name)
        self._must_have_config(config_name)
        with self._store.edit(Kind.ENDPOINT, name) as record:
            shown = record.shown
            if shown["EndpointStatus"] == "Failed":
                raise validation(f'Endpoint "{shown["EndpointArn"]}" has failed: it can only be deleted.')
            if shown["EndpointStatus"] != "InService":
                raise validation(f'Cannot update in-progress endpoint "{shown["EndpointArn"]}".')
            shown.pop("FailureReason", None)
            shown |= {
                "EndpointStatus": "Updating",
                "LastModifiedTime": now(),
                "PendingDeploymentSummary": {"EndpointConfigName": config_name, "StartTime": now()},
            }
            if "DeploymentConfig" in request:
                shown["LastDeploymentConfig"] = request["DeploymentConfig"]
            elif not request.get("RetainDeploymentConfig"):
                shown.pop("LastDeploymentConfig", None)
        self._in_background(name, lambda: self._deploy(name, config_name))
        return {"EndpointArn": shown["EndpointArn"]}

    def resize(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateEndpointWeightsAndCapacities; one process serves a variant here, whatever its count of instances."""
        name = request["EndpointName"]
        self._get(name)
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
                if "DesiredInstanceCount" in entry:
                    count = entry["DesiredInstanceCount"]
                    variants[variant] |= {"DesiredInstanceCount": count, "CurrentInstanceCount": count}
                if "DesiredWeight" in entry:
                    raise validation("DesiredWeight is offered on AWS only: update the endpoint's configuration.")
            shown["LastModifiedTime"] = now()
        return {"EndpointArn": shown["EndpointArn"]}

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeEndpoint."""
        return self._get(request["EndpointName"]).shown

    def list_endpoints(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListEndpoints."""
        return _LISTING.answer([record.shown for record in self._store.all(Kind.ENDPOINT)], request)

    def delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteEndpoint."""
        name = request["EndpointName"]
        self._get(name)
        with self._store.edit(Kind.ENDPOINT, name) as record:
            if record.shown["EndpointStatus"] not in _SETTLED:
                raise validation(f'Cannot update in-progress endpoint "{record.shown["EndpointArn"]}".')
            record.shown |= {"EndpointStatus": "Deleting", "LastModifiedTime": now()}
        with self._lock:
            servers = self._live.pop(name, [])
        for server in servers:
            server.stop()
        remove_folder(endpoint_folder(self._config, name))
        self._store.remove(Kind.ENDPOINT, name)
        return {}

    def restore(self) -> None:
        """After a stop or a crash: end what is left of the servers, and start those of endpoints in service again."""
        for record in self._store.all(Kind.ENDPOINT):
            name = record.shown["EndpointName"]
            for identity in record.private["processes"].values():
                end_orphans(identity, self._config.shutdown_grace_seconds)
            self._remove_other_folders(name, record)
            match record.shown["EndpointStatus"]:
                case "Deleting":
                    remove_folder(endpoint_folder(self._config, name))
                    self._store.remove(Kind.ENDPOINT, name)
                case "Creating":
                    self._show(name, EndpointStatus="Failed", FailureReason="The service ended meanwhile.")
                case "Failed":
                    pass
                case _:
                    self._restart(name, record)

    def shut_down(self) -> None:
        """End every server; endpoints in service come back with ``restore``."""
        self._ending.set()
        with self._lock:
            servers = [*self._aside, *(server for live in self._live.values() for server in live)]
            threads = list(self._threads)
            self._live.clear()
        stopping = [threading.Thread(target=server.stop) for server in servers]
        for thread in stopping:
            thread.start()
        for thread in [*stopping, *threads]:
            thread.join()
        for record in self._store.all(Kind.ENDPOINT):
            with self._store.edit(Kind.ENDPOINT, record.shown["EndpointName"]) as kept:
                kept.private["processes"] = {}

    def _restart(self, name: str, record: Record) -> None:
        self._show(name, EndpointStatus="SystemUpdating", PendingDeploymentSummary=None)
        servers = [self._server(ServerSpec(**spec)) for spec in record.private["servers"]]
        with self._lock:
            # Requests that come now wait until the servers are up.
            self._live[name] = servers

        def start() -> None:
            self._start(servers)
            self._show(name, EndpointStatus="InService")

        self._in_background(name, start)

    def _deploy(self, name: str, config_name: str) -> None:
        """Bring up new servers, hand the traffic over, and only then end the old ones."""
        deployment = Deployment(self._config, self._store, name, config_name)
        try:
            specs = deployment.prepare(self._ending.is_set)
            servers = [self._server(spec) for spec in specs]
            self._start(servers)
        except BaseException:
            deployment.discard()
            raise
        with self._lock:
            if self._ending.is_set():
                old = servers
            else:
                old = self._live.get(name, [])
                self._live[name] = servers
            self._aside |= set(old)
        with self._store.edit(Kind.ENDPOINT, name) as record:
            record.private["servers"] = [spec.to_record() for spec in specs]
            record.shown["EndpointConfigName"] = config_name
            record.shown["ProductionVariants"] = [_variant(spec) for spec in specs]
        self._show(name, EndpointStatus="InService", PendingDeploymentSummary=None)
        for server in old:
            server.retire()
        with self._lock:
            self._aside -= set(old)
        self._remove_other_folders(name, self._get(name))

    def _server(self, spec: ServerSpec) -> ModelServer:
        def started(identity: dict[str, float]) -> None:
            with self._store.edit(Kind.ENDPOINT, spec.endpoint) as record:
                record.private["processes"][spec.base] = identity

        return ModelServer(self._config, spec, started)

    def _start(self, servers: list[ModelServer]) -> None:
        """Start all or none."""
        with self._lock:
            if self._ending.is_set():
                raise JobError("The service is being stopped.")
            self._aside |= set(servers)
        try:
            for server in servers:
                server.start()
        except BaseException:
            for server in servers:
                server.stop()
            raise
        finally:
            with self._lock:
                self._aside -= set(servers)

    def _in_background(self, name: str, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except (JobError, ServiceError, *S3_ERRORS) as error:
                self._fall_back(name, str(error))
            except Exception as error:  # noqa: BLE001 - the end of the thread: an endpoint must not stay Updating
                self._fall_back(name, f"InternalServerError: {type(error).__name__}: {error}")
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=f"deployment of {name}", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _fall_back(self, name: str, reason: str) -> None:
        """A new endpoint has failed; one that was being updated goes on with its old configuration."""
        reason = reason[:MAX_FAILURE_REASON]
        status = self._get(name).shown["EndpointStatus"]
        if status == "Updating":
            self._show(name, EndpointStatus="RollingBack", FailureReason=reason)
            self._show(name, EndpointStatus="InService", PendingDeploymentSummary=None)
        elif not (status == "SystemUpdating" and self._ending.is_set()):
            with self._lock:
                self._live.pop(name, None)
            self._show(name, EndpointStatus="Failed", FailureReason=reason)

    def _show(self, name: str, **members: Any) -> None:
        """Set what Describe answers; None removes a member."""
        with self._store.edit(Kind.ENDPOINT, name) as record:
            shown = record.shown | members | {"LastModifiedTime": now()}
            record.shown = {key: value for key, value in shown.items() if value is not None}

    def _remove_other_folders(self, name: str, record: Record) -> None:
        folder = endpoint_folder(self._config, name)
        used = {Path(spec["base"]).parent for spec in record.private["servers"]}
        for child in folder.iterdir() if folder.is_dir() else ():
            if child not in used:
                remove_folder(child)

    def _must_have_config(self, name: str) -> None:
        if self._store.get(Kind.ENDPOINT_CONFIG, name) is None:
            raise could_not_find(self._config, Kind.ENDPOINT_CONFIG, name)

    def _get(self, name: str) -> Record:
        record = self._store.get(Kind.ENDPOINT, name)
        if record is None:
            raise could_not_find(self._config, Kind.ENDPOINT, name)
        return record


def _variant(spec: ServerSpec) -> dict[str, Any]:
    return {
        "VariantName": spec.variant,
        "DeployedImages": [{"SpecifiedImage": spec.image, "ResolvedImage": spec.image, "ResolutionTime": now()}],
        "CurrentWeight": spec.weight,
        "DesiredWeight": spec.weight,
        "CurrentInstanceCount": spec.instances,
        "DesiredInstanceCount": spec.instances,
    }

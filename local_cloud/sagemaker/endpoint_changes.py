"""What happens to endpoints in the background: brought up, replaced blue/green, turned back, brought up again."""

import threading
from collections.abc import Callable, Mapping, Sequence

from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.deployment import Deployment
from local_cloud.sagemaker.endpoint_records import EndpointRecords, variant
from local_cloud.sagemaker.errors import JobError, ServiceError
from local_cloud.sagemaker.fleets import Fleet, Fleets
from local_cloud.sagemaker.job_status import MAX_FAILURE_REASON
from local_cloud.sagemaker.model_server import ModelServer, ServerSpec
from local_cloud.sagemaker.processes import end_orphans
from local_cloud.sagemaker.rollout import Plan, Rollout
from local_cloud.sagemaker.s3 import S3_ERRORS
from local_cloud.sagemaker.store import Record, Store
from local_cloud.sagemaker.wire import now

_CUT_OFF = "The deployment was cut off: the service ended meanwhile."


class EndpointChanges:
    """Carries changes out, one thread each; an endpoint's status keeps a second change away."""

    def __init__(self, config: ServiceConfig, store: Store, records: EndpointRecords, fleets: Fleets) -> None:
        """Change the endpoints of ``records`` and ``fleets``."""
        self._config = config
        self._store = store
        self._records = records
        self._fleets = fleets
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()

    def create(self, name: str, config_name: str) -> None:
        """Bring a new endpoint up."""

        def work() -> None:
            deployment, servers, specs = self._bring_up(name, config_name)
            try:
                self._fleets.route(name, Fleet(tuple(servers)))
            except JobError:
                self._fleets.end(servers)
                deployment.discard()
                raise
            self._fleets.adopt(servers)
            self._records.commit(name, config_name, specs, {})
            self._records.show(name, EndpointStatus="InService")

        self._in_background(name, work)

    def update(self, name: str, config_name: str, plan: Plan, counts: Mapping[str, int]) -> None:
        """Replace an endpoint's servers as ``plan`` says; ``counts``: variant -> instances that it keeps."""
        rollout = Rollout(plan, lambda alarms: self._firing(name, alarms), self._fleets.ending)

        def work() -> None:
            deployment, servers, specs = self._bring_up(name, config_name)
            old = self._fleets.serving(name)
            try:
                rollout.check()
                rollout.run(
                    lambda share: self._shift(name, config_name, specs, share, Fleet(old), Fleet(tuple(servers)))
                )
            except BaseException as error:
                self._turn_back(name, str(error), Fleet(old), servers)
                deployment.discard()
                raise
            self._fleets.adopt(servers)
            self._records.commit(name, config_name, specs, counts)
            self._fleets.route(name, Fleet(tuple(servers)))
            self._fleets.retire(old)
            self._records.remove_other_folders(name)
            self._records.show(name, EndpointStatus="InService", PendingDeploymentSummary=None)

        self._in_background(name, work)

    def restore(self, record: Record) -> None:
        """After a stop or a crash: end what is left of an endpoint's servers, and start them again."""
        name, status = record.shown["EndpointName"], record.shown["EndpointStatus"]
        for identity in record.private["processes"].values():
            end_orphans(identity, self._config.shutdown_grace_seconds)
        self._records.remove_other_folders(name)
        match status:
            case "Deleting":
                self._records.remove(name)
            case "Creating":
                self._records.show(name, EndpointStatus="Failed", FailureReason=_CUT_OFF)
            case "Failed":
                pass
            case _:
                pending = record.shown.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
                undone = status == "Updating" and pending != record.shown["EndpointConfigName"]
                reason = {"FailureReason": _CUT_OFF} if undone else {}
                self._records.show(name, EndpointStatus="SystemUpdating", PendingDeploymentSummary=None, **reason)
                self._start_again(name, record)

    def join(self) -> None:
        """Wait for every change that is under way; the fleets must have been shut down."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _start_again(self, name: str, record: Record) -> None:
        servers = [self._server(ServerSpec(**spec)) for spec in record.private["servers"]]
        # Requests that come now wait until the servers are up.
        self._fleets.route(name, Fleet(tuple(servers)))

        def start() -> None:
            self._fleets.start(servers)
            self._fleets.adopt(servers)
            self._records.show(name, EndpointStatus="InService")

        self._in_background(name, start)

    def _bring_up(self, name: str, config_name: str) -> tuple[Deployment, list[ModelServer], list[ServerSpec]]:
        deployment = Deployment(self._config, self._store, name, config_name)
        try:
            specs = deployment.prepare(self._fleets.ending)
            servers = [self._server(spec) for spec in specs]
            self._fleets.start(servers)
        except BaseException:
            deployment.discard()
            raise
        return deployment, servers, specs

    def _server(self, spec: ServerSpec) -> ModelServer:
        return ModelServer(self._config, spec, lambda identity: self._records.started(spec, identity))

    def _shift(
        self, name: str, config_name: str, specs: list[ServerSpec], share: float, old: Fleet, new: Fleet
    ) -> None:
        """Give the new servers a share of the traffic, and the old ones the rest."""
        self._fleets.route(name, Fleet(new.servers, share), Fleet(old.servers, 1 - share))
        baking = {"Status": "Baking", "StatusMessage": f"{share:.0%} of the traffic", "StartTime": now()}
        pending = [{**variant(spec), "VariantStatus": [baking]} for spec in specs]
        started = self._records.get(name).shown["PendingDeploymentSummary"]["StartTime"]
        summary = {"EndpointConfigName": config_name, "ProductionVariants": pending, "StartTime": started}
        self._records.show(name, PendingDeploymentSummary=summary)

    def _turn_back(self, name: str, reason: str, old: Fleet, new: list[ModelServer]) -> None:
        """Give all traffic back to the old servers, then end the new ones."""
        if self._fleets.ending():
            self._fleets.end(new)
            return
        self._fleets.route(name, old)
        self._records.show(name, EndpointStatus="RollingBack", FailureReason=reason[:MAX_FAILURE_REASON])
        self._fleets.retire(new)

    def _firing(self, name: str, alarms: Sequence[str]) -> list[str]:
        # Alarms are looked at with the permissions of the endpoint's role.
        return self._config.firing(self._fleets.serving(name)[0].spec.role_arn, alarms)

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

        thread = threading.Thread(target=run, name=f"change of {name}", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _fall_back(self, name: str, reason: str) -> None:
        """A new endpoint has failed; one that was being updated goes on with its old configuration."""
        reason = reason[:MAX_FAILURE_REASON]
        status = self._records.get(name).shown["EndpointStatus"]
        if self._fleets.ending() and status != "Creating":
            return  # comes back, with its old configuration, when the service starts again
        if status in ("Updating", "RollingBack"):
            self._records.show(name, EndpointStatus="RollingBack", FailureReason=reason)
            self._records.show(name, EndpointStatus="InService", PendingDeploymentSummary=None)
            return
        self._fleets.remove(name)
        self._records.show(name, EndpointStatus="Failed", FailureReason=reason)

"""One running model server: a ``serve`` process, its port and its health."""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from local_cloud.sagemaker.config import LogStream, ServiceConfig
from local_cloud.sagemaker.errors import JobError, ServiceError
from local_cloud.sagemaker.processes import ProcessGroup
from local_cloud.sagemaker.roles import aws_environment, image_folder

# How long a container may take for one request; SageMaker's own limit.
INVOCATION_SECONDS = 60.0
_PING_SECONDS = 2.0  # SageMaker's own limit for one /ping
_LOOK_SECONDS = 0.1
# A server that dies again and again is started ever more rarely.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class UnhealthyError(JobError):
    """A server ended, or did not answer /ping with 200 in time."""


@dataclass(frozen=True)
class ServerSpec:
    """All that is needed to start a model's server again, without S3."""

    endpoint: str  # or the transform job that it works for
    variant: str
    image: str
    role_arn: str
    base: str  # SAGEMAKER_BASE_DIR; model/ below it holds the unpacked artifact
    startup_seconds: float
    weight: float = 1.0
    instances: int = 1  # what is asked for; one process serves
    environment: dict[str, str] = field(default_factory=dict)
    capture: dict[str, Any] | None = None  # DataCaptureConfig
    isolated: bool = False  # no credentials, no way to AWS

    def to_record(self) -> dict[str, Any]:
        """Return what a record keeps."""
        return asdict(self)


class ModelServer:
    """Keeps one server running until ``stop``; restarts it when it dies."""

    def __init__(
        self,
        config: ServiceConfig,
        spec: ServerSpec,
        started: Callable[[dict[str, float]], None],
        log: LogStream | None = None,
    ) -> None:
        """Prepare.

        Args:
            config: What the service needs.
            spec: What to start.
            started: Is told the identity of every process, for the case of a crash.
            log: Where its lines go, if not to the endpoint's log group; closed with the server.
        """
        self.spec = spec
        self._config = config
        self._started = started
        self._stopping = threading.Event()
        self._healthy = threading.Event()
        self._lock = threading.Lock()
        self._ending = threading.Lock()
        self._idle = threading.Condition()
        self._active = 0
        self._process: ProcessGroup | None = None
        self._http: urllib3.HTTPConnectionPool | None = None
        self._keeper: threading.Thread | None = None
        self._log = log or config.logs(
            spec.role_arn, f"/aws/sagemaker/Endpoints/{spec.endpoint}", f"{spec.variant}/i-local"
        )

    def start(self) -> None:
        """Start the server and wait until it is healthy; watch over it from then on.

        Raises:
            JobError: it cannot be started.
            UnhealthyError: it ended, or did not answer /ping with 200 in time. Nothing is left running.
            ServiceError: its role cannot be assumed.
        """
        try:
            self._launch()
            self._wait_until_healthy()
        except (JobError, ServiceError):
            self.stop()
            raise
        self._keeper = threading.Thread(target=self._keep, name=f"endpoint {self.spec.endpoint}", daemon=True)
        self._keeper.start()

    @property
    def ready(self) -> bool:
        """Whether it answers now."""
        return self._healthy.is_set() and not self._stopping.is_set()

    def note(self, text: str) -> None:
        """Add a line to the server's log."""
        self._log.write(f"[sagemaker] {text}")

    def retire(self) -> None:
        """End the server once the requests under way have been answered."""
        deadline = time.monotonic() + INVOCATION_SECONDS
        with self._idle:
            while self._active and time.monotonic() < deadline and not self._stopping.is_set():
                self._idle.wait(_LOOK_SECONDS)
            # Under the lock: a request that comes now is refused and goes to the server that took over.
            self._stopping.set()
        self.stop()

    def stop(self) -> None:
        """End the server; requests under way are cut off. Its last lines are stored when this returns."""
        self._stopping.set()
        self._healthy.clear()
        with self._ending:  # whoever comes second waits for the end as well
            with self._lock:
                process, self._process = self._process, None
            if process is not None:
                process.end(self._config.shutdown_grace_seconds)
            if self._keeper is not None:
                self._keeper.join()
            self._log.close()

    def execution_parameters(self) -> bytes:
        """Return what GET /execution-parameters answers; nothing where the server does not know it."""
        assert self._http is not None, "start() comes first"
        try:
            answer = self._http.urlopen("GET", "/execution-parameters", retries=False, timeout=_PING_SECONDS)
        except urllib3.exceptions.HTTPError:
            return b""
        return answer.data if answer.status == 200 else b""

    def invoke(
        self, body: bytes, headers: Mapping[str, str], seconds: float = INVOCATION_SECONDS
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request to /invocations and return its answer, for which it has so many seconds.

        Raises:
            TimeoutError: the server took too long.
            ConnectionRefusedError: there is no server; the request has not been sent.
            ConnectionError: it broke the connection off.
        """
        with self._idle:
            if self._stopping.is_set():
                raise ConnectionRefusedError("the server is being stopped")
            self._active += 1
        try:
            return self._post(body, headers, seconds)
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    def _post(self, body: bytes, headers: Mapping[str, str], seconds: float) -> tuple[int, dict[str, str], bytes]:
        if not self._wait_for_health():
            raise ConnectionRefusedError("the server is not running")
        assert self._http is not None
        try:
            answer = self._http.urlopen(
                "POST",
                "/invocations",
                body=body,
                headers=dict(headers),
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=5, read=seconds),
            )
        except urllib3.exceptions.NewConnectionError as error:
            # It has just died: the keeper notices on its next look, the next request at once.
            self._healthy.clear()
            raise ConnectionRefusedError(str(error)) from error
        except urllib3.exceptions.TimeoutError as error:
            raise TimeoutError(str(error)) from error
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(str(error)) from error
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data

    def _wait_for_health(self) -> bool:
        """Wait while the server starts or is started again; False when it takes too long or is being stopped."""
        deadline = time.monotonic() + INVOCATION_SECONDS
        while not self._healthy.wait(_LOOK_SECONDS):
            if self._stopping.is_set() or time.monotonic() > deadline:
                return False
        return True

    def _launch(self) -> None:
        port = _free_port()
        image = image_folder(self._config, self.spec.image, self.spec.role_arn)
        environment = aws_environment(
            self._config,
            image,
            {} if self.spec.isolated else self._config.credentials_for(self.spec.role_arn, self.spec.endpoint),
            {
                **self.spec.environment,
                "SAGEMAKER_BASE_DIR": self.spec.base,
                "SAGEMAKER_BIND_TO_PORT": str(port),
                "SAGEMAKER_SAFE_PORT_RANGE": f"{port}-{port}",
            },
        )
        with self._lock:
            if self._stopping.is_set():
                raise JobError("the endpoint is being stopped")
            process = ProcessGroup([str(image / "serve")], Path(self.spec.base), environment, self._log.write)
            self._process = process
        self._started(process.identity)
        self._http = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=32)

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + self.spec.startup_seconds
        while time.monotonic() < deadline and not self._stopping.is_set():
            process = self._process
            if process is None or not process.running():
                break
            if self._ping():
                self._healthy.set()
                return
            time.sleep(_LOOK_SECONDS)
        raise UnhealthyError(
            f"The primary container for production variant {self.spec.variant} did not pass the ping health check. "
            f"Please check CloudWatch logs for this endpoint: log group /aws/sagemaker/Endpoints/{self.spec.endpoint}."
        )

    def _ping(self) -> bool:
        assert self._http is not None
        try:
            answer = self._http.urlopen("GET", "/ping", retries=False, timeout=_PING_SECONDS)
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status == 200

    def _keep(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.wait(_LOOK_SECONDS):
            process = self._process
            if process is not None and process.running():
                if not self._healthy.is_set() and self._ping():
                    self._healthy.set()
                continue
            self._healthy.clear()
            if process is not None:
                self._log.write(f"[sagemaker] the server ended with exit code {process.finish()}: it is started again")
                self._process = None
            try:
                self._launch()
                self._wait_until_healthy()
            except (JobError, ServiceError) as error:
                self._log.write(f"[sagemaker] {error}")
                self._stopping.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                pause = _FIRST_PAUSE


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

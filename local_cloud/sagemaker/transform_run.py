"""One transform job from its first status to its last."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.deployment import fetch_model
from local_cloud.sagemaker.errors import JobError, ServiceError
from local_cloud.sagemaker.job_status import Ending, JobControl
from local_cloud.sagemaker.model_server import ModelServer, ServerSpec, UnhealthyError
from local_cloud.sagemaker.s3 import S3_ERRORS, RoleSession, download_object, s3_uri, upload_file
from local_cloud.sagemaker.store import remove_folder
from local_cloud.sagemaker.transform_objects import InputObject, ObjectError, objects_of, payloads
from local_cloud.sagemaker.transform_request import Limits, limits_of, variables
from local_cloud.sagemaker.transform_status import TransformStatus

LOG_GROUP: Final = "/aws/sagemaker/TransformJobs"
SHUT_DOWN: Final = "InternalServerError: the local SageMaker was stopped while the job ran"
# SageMaker's defaults of ModelClientConfig.
_TIMEOUT_SECONDS: Final = 600
_RETRIES: Final = 3
_LOOK_SECONDS: Final = 0.1


class TransformRun:
    """Starts a model's server, has it answer every object, and ends it."""

    def __init__(
        self, config: ServiceConfig, status: TransformStatus, control: JobControl, model: Mapping[str, Any]
    ) -> None:
        """Prepare the job of ``status`` for ``model``, as DescribeModel shows it."""
        self._config = config
        self._status = status
        self._control = control
        self._model = model
        self._job = status.shown()
        self._name: str = self._job["TransformJobName"]
        self._folder = transform_folder(config, self._name)
        role = model["ExecutionRoleArn"]
        self._session = RoleSession(config, role, self._name)
        self._log = config.logs(role, LOG_GROUP, f"{self._name}/i-local")
        self._data_log = config.logs(role, LOG_GROUP, f"{self._name}/i-local/data-log")
        self._failures: list[str] = []
        self._lock = threading.Lock()

    def run(self) -> None:
        """Run the job to its end; whatever goes wrong becomes its FailureReason."""
        failure = ""
        try:
            self._transform()
            failure = self._said()
        except JobError as error:
            failure = str(error)
        except ServiceError as error:
            failure = f"ClientError: {error.message}"
        except S3_ERRORS as error:
            failure = f"ClientError: {error}"
        except Exception as error:  # noqa: BLE001 - the end of the thread: a job must never stay InProgress for ever
            failure = f"InternalServerError: {type(error).__name__}: {error}"
        remove_folder(self._folder)
        for log in (self._log, self._data_log):  # the last line is stored before the job is seen to have ended
            log.close()
        match self._control.ending:
            case Ending.SHUTDOWN:
                self._status.finish("Failed", SHUT_DOWN)
            case Ending.STOPPED:
                self._status.finish("Stopped")
            case _:
                self._status.finish("Failed" if failure else "Completed", failure)

    def _transform(self) -> None:
        remove_folder(self._folder)
        self._folder.mkdir(parents=True)
        objects = objects_of(self._session.s3(), self._job["TransformInput"]["DataSource"]["S3DataSource"])
        container = self._model["PrimaryContainer"]
        fetch_model(self._session, container, self._folder, lambda: self._ended)
        if self._ended:
            return
        server = ModelServer(self._config, self._spec(container), self._status.started, self._log)
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(server, done), name=f"end of {self._name}", daemon=True)
        watcher.start()
        try:
            server.start()
            self._answer_all(server, objects)
        except UnhealthyError as error:
            raise JobError(
                "AlgorithmError: the model's container did not pass the ping health check: see the log group "
                f"{LOG_GROUP}, {self._name}/i-local"
            ) from error
        finally:
            done.set()
            watcher.join()
            server.stop()

    def _spec(self, container: Mapping[str, Any]) -> ServerSpec:
        own = {**container["Environment"], **self._job.get("Environment", {})}
        return ServerSpec(
            endpoint=self._name,
            variant=self._job["ModelName"],
            image=container["Image"],
            role_arn=self._session.role_arn,
            base=str(self._folder),
            startup_seconds=self._config.health_check_seconds,
            environment=own | variables(self._job),
            isolated=self._model["EnableNetworkIsolation"],
        )

    @property
    def _ended(self) -> bool:
        return self._control.ending is not None

    def _watch(self, server: ModelServer, done: threading.Event) -> None:
        """End the server as soon as somebody ends the job: requests under way are cut off."""
        while not done.wait(_LOOK_SECONDS):
            if self._ended:
                server.stop()
                return

    def _answer_all(self, server: ModelServer, objects: list[InputObject]) -> None:
        limits = limits_of(self._job, server.execution_parameters())
        self._data_log.write(f"[sagemaker logs]: {limits}")
        left = iter(objects)
        # Each worker takes the next object when it is done with one.
        with ThreadPoolExecutor(min(limits.concurrent, len(objects)), thread_name_prefix=self._name) as pool:
            workers = [
                pool.submit(self._work, server, limits, number, left)
                for number in range(min(limits.concurrent, len(objects)))
            ]
            for worker in workers:
                worker.result()

    def _work(self, server: ModelServer, limits: Limits, number: int, left: Iterator[InputObject]) -> None:
        while not self._ended:
            with self._lock:
                each = next(left, None)
            if each is None:
                return
            try:
                self._answer(server, limits, self._folder / f"object-{number}", each)
            except ObjectError as error:
                self._data_log.write(f"[sagemaker logs]: {each.uri}: {error}")
                with self._lock:
                    self._failures.append(_naming(each, str(error)))
            except (JobError, *S3_ERRORS) as error:
                with self._lock:
                    for _ in left:  # nothing is left for the other workers either
                        pass
                text = str(error) if isinstance(error, JobError) else f"ClientError: {error}"
                self._data_log.write(f"[sagemaker logs]: {each.uri}: {text}")
                raise JobError(_naming(each, text)) from error

    def _answer(self, server: ModelServer, limits: Limits, path: Path, each: InputObject) -> None:
        """Have one object answered; its answer is uploaded when it is whole."""
        given, wanted = self._job["TransformInput"], self._job["TransformOutput"]
        download_object(self._session.s3(), each.uri, path)
        answer = path.with_suffix(".out")
        by_line = given["SplitType"] == "Line"
        with answer.open("wb") as file:
            for body in payloads(path, by_line=by_line, single=limits.single, limit=limits.payload_bytes):
                file.write(self._ask(server, body))
                if wanted["AssembleWith"] == "Line":
                    file.write(b"\n")
        target = s3_uri(wanted["S3OutputPath"]) / each.output
        upload_file(self._session.s3(), answer, target, wanted.get("KmsKeyId"))

    def _ask(self, server: ModelServer, body: bytes) -> bytes:
        """Return the model's answer to one request; what may pass by itself is tried again.

        Raises:
            ObjectError: the model refused the request, or failed on it.
            JobError: it does not answer at all.
        """
        client = self._job.get("ModelClientConfig", {})
        seconds = client.get("InvocationsTimeoutInSeconds", _TIMEOUT_SECONDS)
        retries = client.get("InvocationsMaxRetries", _RETRIES)
        for attempt in range(retries + 1):
            try:
                status, _, answer = server.invoke(body, self._headers(), seconds)
            except (TimeoutError, ConnectionError) as error:
                if self._ended or attempt == retries:
                    raise JobError(f"AlgorithmError: the container did not answer: {error}") from error
                continue
            if status == 200:
                return answer
            if status < 500 or attempt == retries:
                break
        kind = "ClientError" if status < 500 else "AlgorithmError"
        text = answer[:300].decode(errors="replace")
        raise ObjectError(f"{kind}: the container answered {status}: {text}")

    def _headers(self) -> dict[str, str]:
        given = {
            "Content-Type": self._job["TransformInput"].get("ContentType"),
            "Accept": self._job["TransformOutput"].get("Accept"),
        }
        return {name: value for name, value in given.items() if value}

    def _said(self) -> str:
        """Return why the job failed, where objects were refused: the first of them and how many."""
        if not self._failures:
            return ""
        more = len(self._failures) - 1
        others = f" ({more} more {'object' if more == 1 else 'objects'} failed)" if more else ""
        return f"{self._failures[0]}{others}. See the log group {LOG_GROUP}"


def _naming(each: InputObject, text: str) -> str:
    """Put the object's name into the text of an error, behind its kind."""
    kind, _, rest = text.partition(": ")
    return f"{kind}: {each.uri}: {rest}"


def transform_folder(config: ServiceConfig, name: str) -> Path:
    """Return the folder of a running job."""
    return config.state_dir / "transforms" / name

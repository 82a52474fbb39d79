"""Data capture: what an endpoint was asked and answered, as JSON lines in S3."""

import base64
import json
import random
import threading
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.errors import ServiceError
from local_cloud.sagemaker.model_server import ModelServer
from local_cloud.sagemaker.s3 import S3_ERRORS, RoleSession, encryption, s3_uri
from local_cloud.sagemaker.wire import now

# What may wait for S3; beyond it, captures are lost rather than requests delayed or memory filled.
_MOST_WAITING: Final = 64 * 1024 * 1024  # bytes


@dataclass(frozen=True)
class _Capture:
    server: ModelServer
    moment: datetime
    line: bytes


class DataCapture:
    """Writes a sample of all requests to S3 under the endpoint's role; never slows or fails one of them."""

    def __init__(self, config: ServiceConfig) -> None:
        """Nothing is written before ``start``."""
        self._config = config
        self._lock = threading.Lock()
        self._pending: list[_Capture] = []
        self._waiting = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="data capture", daemon=True)

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def offer(self, server: ModelServer, request: tuple[str, bytes], answer: tuple[str, bytes]) -> None:
        """Keep one request and its answer, content type and body each, if the endpoint wants it and chance says so."""
        wanted = server.spec.capture
        if not wanted or not wanted.get("EnableCapture", True):
            return
        if random.random() * 100 >= wanted["InitialSamplingPercentage"]:
            return
        moment = now()
        line = _line(wanted, moment, request, answer)
        with self._lock:
            if self._waiting + len(line) <= _MOST_WAITING:
                self._pending.append(_Capture(server, moment, line))
                self._waiting += len(line)
                return
        server.note("captured data is lost: S3 is too slow")

    def stop(self) -> None:
        """Write the rest and end; S3 must answer until this returns."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._flush()

    def _run(self) -> None:
        while not self._ended.wait(self._config.capture_seconds):
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            batch, self._pending, self._waiting = self._pending, [], 0
        files: defaultdict[tuple[ModelServer, str], list[_Capture]] = defaultdict(list)
        for capture in batch:
            files[capture.server, f"{capture.moment:%Y/%m/%d/%H}"].append(capture)
        for (server, hour), captures in files.items():
            self._write(server, hour, captures)

    def _write(self, server: ModelServer, hour: str, captures: list[_Capture]) -> None:
        spec = server.spec
        assert spec.capture is not None
        moment = captures[0].moment
        name = f"{moment:%M-%S}-{moment.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
        target = s3_uri(spec.capture["DestinationS3Uri"]) / f"{spec.endpoint}/{spec.variant}/{hour}/{name}"
        try:
            client = RoleSession(self._config, spec.role_arn, spec.endpoint).s3()
            body = b"".join(capture.line for capture in captures)
            client.put_object(
                Bucket=target.bucket, Key=target.key, Body=body, **encryption(spec.capture.get("KmsKeyId"))
            )
        except (ServiceError, *S3_ERRORS) as error:
            server.note(f"captured data was not written to {target}: {error}")


def _line(wanted: Mapping[str, Any], moment: datetime, request: tuple[str, bytes], answer: tuple[str, bytes]) -> bytes:
    modes = {option["CaptureMode"] for option in wanted["CaptureOptions"]}
    data = {}
    if modes & {"Input", "InputAndOutput"}:
        data["endpointInput"] = _entry(wanted, "INPUT", *request)
    if modes & {"Output", "InputAndOutput"}:
        data["endpointOutput"] = _entry(wanted, "OUTPUT", *answer)
    metadata = {"eventId": str(uuid.uuid4()), "inferenceTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    return json.dumps({"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}).encode() + b"\n"


def _entry(wanted: Mapping[str, Any], mode: str, content_type: str, body: bytes) -> dict[str, str]:
    headers = wanted.get("CaptureContentTypeHeader", {})
    plain = dict.fromkeys(headers.get("CsvContentTypes", []), "CSV")
    plain |= dict.fromkeys(headers.get("JsonContentTypes", []), "JSON")
    encoding = plain.get(content_type.partition(";")[0].strip(), "BASE64")
    data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode("utf-8", "replace")
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}

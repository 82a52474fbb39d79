"""The front door's Lambda function: what it adds to the endpoint's time, how long its import takes, how large it is.

Command:   make bench NAME=front_door         (seven pairs, about half a minute)
Baseline:  warm: a process that does no more than ``invoke_endpoint`` with the same photo; import: ``import boto3``.
Ours:      the zip that CDK deploys, unpacked, in a process of its own; its events are API Gateway's for one photo.
           The endpoint is a socket on loopback that answers at once, so that nothing but the function is left.
Ratios:    own_over_5ms: our median call less the baseline's, over 5 ms; import_over_300ms: importing the handler in a
           fresh process; import_over_boto3: the same over boto3's import; zip_over_5mb. One value per pair.
Expected:  all but import_over_boto3 below 1 on 2 cores.
"""

import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from aws_cdk import App

from benchmarks.record import report
from benchmarks.serving.artifact import DOGS, ROOT, photos_in
from infra.settings import load_settings
from infra.stacks import build_stage

OWN_MS: Final = 5.0
IMPORT_MS: Final = 300.0
ZIP_BYTES: Final = 5_000_000
_ANSWER: Final = json.dumps({"predictions": [{"label": "Boxer", "probability": 0.97}], "confident": True}).encode()
_IMPORT: Final = "import time; t = time.perf_counter(); import {}; print((time.perf_counter() - t) * 1000)"
_CALLS: Final = """
import json, statistics, sys, time
{setup}
given = json.loads(sys.stdin.read())
{prepare}
def timed():
    started = time.perf_counter()
    {call}
    return (time.perf_counter() - started) * 1000
for _ in range(20):
    timed()
print(statistics.median(timed() for _ in range(300)))
"""
_OURS: Final = {
    "setup": "import handler",
    "prepare": "",
    "call": "assert handler.handle(given, None)['statusCode'] == 200",
}
_BARE: Final = {
    "setup": "import base64, boto3",
    "prepare": "photo = base64.b64decode(given['body']); client = boto3.client('sagemaker-runtime')",
    "call": "client.invoke_endpoint(EndpointName='e', Body=photo, ContentType='image/jpeg')['Body'].read()",
}


def main() -> None:
    """Measure in pairs and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--photos", type=Path, default=DOGS / "test", help="a folder with .jpg files")
    options = parser.parse_args()
    photo = sorted((path.read_bytes() for path in photos_in(options.photos)), key=len)[-1]
    with tempfile.TemporaryDirectory(prefix="pedigree-bench-") as temporary, endpoint() as address:
        archive = bundle(Path(temporary, "out"))
        function = Path(temporary, "function")
        zipfile.ZipFile(archive).extractall(function)  # our own, made a moment ago
        size, python = archive.stat().st_size, Python(function, address)
        pairs = [measure(python, event(photo)) for _ in range(options.pairs)]
    ratios = {
        "own_over_5ms": [(pair["ours"] - pair["bare"]) / OWN_MS for pair in pairs],
        "import_over_300ms": [pair["import"] / IMPORT_MS for pair in pairs],
        "import_over_boto3": [pair["import"] / pair["boto3"] for pair in pairs],
        "zip_over_5mb": [size / ZIP_BYTES],
    }
    medians = {name: statistics.median(pair[name] for pair in pairs) for name in pairs[0]}
    told = ", ".join(f"{name} {milliseconds:.1f} ms" for name, milliseconds in medians.items())
    report("front_door", ratios, [f"medians: {told}; photo {len(photo):,} bytes, zip {size:,} bytes"])


class Python:
    """Starts Python processes as Lambda would: the function's folder, the installed boto3, an endpoint's address."""

    def __init__(self, function: Path, address: str) -> None:
        """Run code in ``function``, the unpacked zip, against the endpoint at ``address``."""
        self._function = function
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(function),
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": address,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "ENDPOINT_NAME": "e",
            "BUCKET": "b",
        }

    def run(self, code: str, given: str = "") -> float:
        """Return the number that ``code`` prints."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self._function,
            env=self._environment,
            input=given,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return float(done.stdout)


def measure(python: Python, given: str) -> dict[str, float]:
    """Return the milliseconds of one pair of each."""
    return {
        "boto3": python.run(_IMPORT.format("boto3")),
        "import": python.run(_IMPORT.format("handler")),
        "bare": python.run(_CALLS.format(**_BARE), given),
        "ours": python.run(_CALLS.format(**_OURS), given),
    }


def event(photo: bytes) -> str:
    """Return API Gateway's event for a photo."""
    given: dict[str, Any] = {
        "resource": "/predict",
        "httpMethod": "POST",
        "headers": {"Content-Type": "image/jpeg", "x-api-key": "k" * 40, "User-Agent": "bench", "Host": "example"},
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "requestContext": {"requestId": "r-1"},
        "body": base64.b64encode(photo).decode(),
        "isBase64Encoded": True,
    }
    return json.dumps(given)


def bundle(out: Path) -> Path:
    """Synthesize the app and return the function's zip."""
    app = App(context=json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"], outdir=str(out))
    stages = app.node.try_get_context("stages")
    build_stage(app, load_settings(stages, next(iter(stages))))
    app.synth()
    return out / "bundles" / "front_door-handler.zip"


@contextmanager
def endpoint() -> Iterator[str]:
    """Answer every prediction at once, on loopback, as SageMaker's runtime does."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(_ANSWER)))
            self.end_headers()
            self.wfile.write(_ANSWER)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


if __name__ == "__main__":
    main()

"""A small server that answers as MLflow does and records what it is asked."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeMlflow(ThreadingHTTPServer):
    """Records every request; ``refused`` holds the paths that it answers with 503."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.refused: set[str] = set()
        self.answers: dict[str, Any] = {
            "/api/2.0/mlflow/experiments/create": {"experiment_id": "7"},
            "/api/2.0/mlflow/runs/create": {
                "run": {"info": {"run_id": "r1", "artifact_uri": "mlflow-artifacts:/7/r1/artifacts"}}
            },
        }

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def bodies(self, end: str) -> list[Any]:
        return [body for _, path, body in self.requests if path.endswith(end)]


class _Handler(BaseHTTPRequestHandler):
    server: FakeMlflow

    def _answer(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        body = json.loads(data) if self.command == "POST" else data
        self.server.requests.append((self.command, path, body))
        self.server.headers.append(dict(self.headers))
        missing = path.endswith("get-by-name")
        self.send_response(503 if path in self.server.refused else 404 if missing else 200)
        self.end_headers()
        if self.command != "PUT":  # MLflow answers an upload with nothing
            self.wfile.write(json.dumps(self.server.answers.get(path, {})).encode())

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 (http.server's names)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

"""The API without a cloud: serves the real page with its real headers, and names the photo it knows best."""

import io
import json
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from contract.front_door import API_KEY_HEADER, Breed, Health
from contract.inference import CONTENT_TYPES, Answer, ErrorCode, Explanation, InferenceError, Prediction
from infra.front_door.page import Page

KEY = "a-key-for-tests-0123456789"
STAGE = "/v1"
GOOD = Health(ready=True, endpoint="InService", version=3, accuracy=0.975)
# Photos that differ so much in brightness, of 255 and on average, are e times less probable to show the same.
_SOFTNESS = 12.0


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def image(self) -> Image.Image:
        """Return the photo of its body."""
        return Image.open(io.BytesIO(self.body))


@dataclass
class FakeApi:
    """Answers below http://127.0.0.1:PORT/v1 while it is entered.

    Attributes:
        page: what GET / answers.
        known: for each label a photo; what is sent is named after the photo it is most alike.
        examples: for each label the example photo that GET /breeds leads to.
        refusals: instead of the next predictions.
        answer: instead of what the photo looks like.
        asked: all requests so far.
    """

    page: Page
    known: Mapping[str, bytes]
    examples: Mapping[str, bytes] = field(default_factory=dict)
    health: Health = GOOD
    refusals: list[InferenceError] = field(default_factory=list)
    answer: Answer | None = None
    asked: list[Asked] = field(default_factory=list)
    _is_stopped: bool = field(default=False, init=False)

    def __enter__(self) -> "FakeApi":
        """Start to listen."""
        api = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                if api._is_stopped:  # on a connection that a browser opened ahead of what it would ask
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, body)
                api.asked.append(asked)
                status, answered, content = api.respond(asked)
                self.send_response(status)
                for name, value in {**answered, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = handle_any  # noqa: N815 - http.server's names

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop, unless stopped already."""
        self.stop()

    def stop(self) -> None:
        """Listen no longer: whoever asks now is refused the connection, or has one that ends without an answer."""
        self._is_stopped = True
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its address, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_port}{STAGE}"

    def predictions(self) -> list[Asked]:
        """Return the requests for a prediction."""
        return [asked for asked in self.asked if urlsplit(asked.path).path == f"{STAGE}/predict"]

    def respond(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of an answer."""
        path = urlsplit(asked.path).path.removeprefix(STAGE)
        if asked.method == "GET" and path in {"", "/"}:
            return 200, {"Content-Type": "text/html; charset=utf-8", **self.page.headers}, self.page.html
        try:
            if asked.headers.get(API_KEY_HEADER) != KEY:
                raise InferenceError(ErrorCode.FORBIDDEN, "send a valid API key in the x-api-key header")
            return self._answer(asked, path)
        except InferenceError as error:
            wait = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
            return error.status, {"Content-Type": "application/json"} | wait, json.dumps(error.body("r-1")).encode()

    def _answer(self, asked: Asked, path: str) -> tuple[int, dict[str, str], bytes]:
        body: dict[str, Any]
        match path.split("/"):
            case ["", "health"]:
                body = self.health.body()
            case ["", "breeds"]:
                examples = {label: f"breeds/{n}/photo" for n, label in enumerate(self.known) if label in self.examples}
                body = {"breeds": [Breed(label, examples.get(label)).body() for label in self.known]}
            case ["", "breeds", number, "photo"]:
                return 200, {"Content-Type": "image/jpeg"}, self.examples[list(self.known)[int(number)]]
            case ["", "predict"] if asked.method == "POST":
                body = self._predict(asked).body()
            case _:
                raise InferenceError(ErrorCode.NOT_FOUND, "there is nothing at this path")
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()

    def _predict(self, asked: Asked) -> Answer:
        if self.refusals:
            raise self.refusals.pop(0)
        if asked.headers["content-type"] not in CONTENT_TYPES:
            raise InferenceError(ErrorCode.UNSUPPORTED_TYPE, "this content type is not supported")
        query = parse_qs(urlsplit(asked.path).query)
        photo = asked.image()
        answer = self.answer or self._look(photo, int(query.get("top", ["5"])[0]))
        explanation = Explanation(answer.predictions[0].label, heat(photo)) if "explain" in query else None
        return Answer(answer.predictions, answer.confident, explanation)

    def _look(self, photo: Image.Image, top: int) -> Answer:
        """Return the labels of the known photos, the one most alike first."""
        seen = thumbnail(photo)
        apart = {
            label: float(np.abs(seen - thumbnail(Image.open(io.BytesIO(known)))).mean())
            for label, known in self.known.items()
        }
        weights = {label: math.exp(-distance / _SOFTNESS) for label, distance in apart.items()}
        total = sum(weights.values())
        predictions = [Prediction(label, weight / total) for label, weight in weights.items()]
        predictions.sort(key=lambda one: -one.probability)
        return Answer(predictions[:top], confident=predictions[0].probability > 0.5)


def thumbnail(photo: Image.Image) -> NDArray[np.float32]:
    """Return a photo's pixels as they are stored, not as EXIF would have them turned, at 16 x 16: (16, 16, 3)."""
    return np.asarray(photo.convert("RGB").resize((16, 16), Image.Resampling.BOX), np.float32)


def heat(photo: Image.Image) -> bytes:
    """Return a JPEG of the photo's middle square, bright in its middle: in the place of the model's explanation."""
    square = ImageOps.fit(photo.convert("RGB"), (224, 224))
    middle = Image.radial_gradient("L").resize(square.size).point([255 - value for value in range(256)])
    file = io.BytesIO()
    Image.composite(square, square.convert("L").convert("RGB").point([v // 3 for v in range(256)] * 3), middle).save(
        file, "JPEG"
    )
    return file.getvalue()

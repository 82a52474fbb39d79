"""Asking the deployed API what is on a photo."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from console.cloud import Cloud
from console.errors import ConsoleError
from console.screen import Screen
from console.stacks import Deployed
from contract.inference import MAX_PHOTO_BYTES, Answer, ErrorCode
from contract.names import ApiPath

_BAR: Final = 30
_NOT_SURE: Final = "Not sure: this may be nothing that the model knows. Nearest:"
API_KEY_HEADER: Final = "x-api-key"
# A cold endpoint on AWS answers within API Gateway's own 29 s or not at all.
_TIMEOUT: Final = httpx.Timeout(40.0, connect=10.0)
_SIGNATURES: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
)
# Errors that this console does not provoke: it and the API are not of the same version.
_MISMATCH: Final = "What is deployed may not match this console: pedigree deploy"
_HINTS: Final = {
    ErrorCode.BAD_IMAGE: "Open it in a viewer: it may be damaged, or no photo at all.",
    ErrorCode.EMPTY_BODY: "The file is empty.",
    ErrorCode.FORBIDDEN: "The API key is not accepted. Was the stage just deployed? A new key takes a minute on AWS.",
    ErrorCode.NOT_FOUND: "The API has no such path. Was another app deployed over it?",
    ErrorCode.TOO_LARGE: f"Make it smaller: at most {MAX_PHOTO_BYTES / 1e6:.1f} MB and 64 megapixels.",
    ErrorCode.UNSUPPORTED_TYPE: "JPEG, PNG and WebP are understood.",
    ErrorCode.TOO_MANY_REQUESTS: "Wait a second and ask again.",
    ErrorCode.UNAVAILABLE: "No model is being served yet, or it is starting: pedigree status",
    ErrorCode.INTERNAL: "The API's log says more: aws logs tail",
}


@dataclass(frozen=True)
class Api:
    """Where photos are posted, and the key that opens it."""

    url: str
    key: str
    ca_bundle: str | None = None

    @classmethod
    def of(cls, cloud: Cloud, deployed: Deployed) -> "Api":
        """Find address and key of what a stage has deployed."""
        key = cloud.client("apigateway").get_api_key(apiKey=deployed.api_key_id, includeValue=True)["value"]
        base = cloud.predict_url(deployed.api_url).rstrip("/")
        return cls(base if base.endswith(ApiPath.PREDICT) else base + ApiPath.PREDICT, key, cloud.ca_bundle())


def predict(api: Api, photo: Path) -> Answer:
    """Return what the model sees on a photo, and whether it is sure.

    Raises:
        ConsoleError: the photo cannot be read or sent, or the API refused it; says why.
    """
    try:
        content = photo.read_bytes()
    except OSError as error:
        raise ConsoleError(f"{photo}: {error.strerror}.") from error
    headers = {"Content-Type": content_type(content), API_KEY_HEADER: api.key}
    try:
        with httpx.Client(verify=_trust(api), timeout=_TIMEOUT, trust_env=not api.ca_bundle) as client:
            response = client.post(api.url, content=content, headers=headers)
    except httpx.HTTPError as error:
        raise ConsoleError(f"{api.url} does not answer: {error}", "Is the cloud running? pedigree status") from error
    return _read(response, photo)


def content_type(content: bytes) -> str:
    """Return what a file is by its first bytes, whatever its name says; unknown is sent as what it is, bytes."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _SIGNATURES if content.startswith(start)), "application/octet-stream")


def _trust(api: Api) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=api.ca_bundle)


def _read(response: httpx.Response, photo: Path) -> Answer:
    body = _json(response)
    if response.status_code == httpx.codes.OK and "predictions" in body:
        return Answer.read(body)
    error = body.get("error")
    if not isinstance(error, dict) or "code" not in error:
        raise ConsoleError(f"{photo}: the API answered {response.status_code}: {response.text[:200]}")
    code = str(error["code"])
    hint = _HINTS.get(ErrorCode(code), _MISMATCH) if code in set(ErrorCode) else ""
    raise ConsoleError(
        f"{photo}: {error.get('message', '')} ({response.status_code} {code}, request {error.get('request_id', '?')})",
        hint,
    )


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def show_answer(screen: Screen, photo: Path, answer: Answer) -> None:
    """Say what is on a photo, with a bar for each probability."""
    screen.say(str(photo), style="bold")
    if answer.confident is False:
        screen.say(f"  {_NOT_SURE}")
    width = max(len(prediction.label) for prediction in answer.predictions)
    for one in answer.predictions:
        bar = "█" * round(_BAR * one.probability) if screen.is_live else "#" * round(_BAR * one.probability)
        screen.say(f"  {one.label:<{width}}  {100 * one.probability:5.1f} %  {bar}".rstrip())

"""Asking the deployed API what is on a photo."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx

from console.cloud import Cloud
from console.prediction.failure import Cause, PhotoError, no_photo, too_large
from console.prediction.patience import Patience, Reply
from console.prediction.refusal import json_object, not_understood, refusal, unreachable
from console.stacks import Deployed
from contract.front_door import API_KEY_HEADER, UPLOAD_FIELD, Upload
from contract.inference import MAX_PHOTO_BYTES, MAX_UPLOAD_BYTES, TOP_K, Answer, Options
from contract.names import ApiPath
from contract.options import EXPLAIN, TOP
from contract.photo_types import photo_type

# A cold endpoint on AWS answers within API Gateway's own 29 s or not at all.
_TIMEOUT: Final = httpx.Timeout(40.0, connect=10.0)


@dataclass(frozen=True)
class Api:
    """Where the API answers, without a slash at its end, and the key that opens it."""

    address: str
    key: str
    ca_bundle: str | None = None

    @classmethod
    def of(cls, cloud: Cloud, deployed: Deployed) -> "Api":
        """Find address and key of what a stage has deployed."""
        key = cloud.client("apigateway").get_api_key(apiKey=deployed.api_key_id, includeValue=True)["value"]
        return cls(address_of(cloud, deployed), key, cloud.ca_bundle())

    def at(self, path: ApiPath) -> str:
        """Return the full address of a path."""
        return self.address + path


def address_of(cloud: Cloud, deployed: Deployed) -> str:
    """Return the address of the API that a stage has deployed, without a slash at its end."""
    return cloud.predict_url(deployed.api_url).rstrip("/").removesuffix(ApiPath.PREDICT)


class Client:
    """Asks the API about photos, one after the other, over one connection."""

    def __init__(self, api: Api, patience: Patience) -> None:
        self._api = api
        self._patience = patience
        trust = ssl.create_default_context(cafile=api.ca_bundle)
        self._http = httpx.Client(verify=trust, timeout=_TIMEOUT, trust_env=not api.ca_bundle)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._http.close()

    def predict(self, photo: bytes, options: Options) -> Answer:
        """Return what the model sees on a photo; one too large for a request is uploaded first.

        Raises:
            PhotoError: it could not be sent, or the API refused it; says why.
        """
        kind = _sendable_type(photo)
        asked: dict[str, int | bool] = {TOP: options.top} if options.top != TOP_K else {}
        if options.explain:
            asked[EXPLAIN] = True
        if len(photo) > MAX_PHOTO_BYTES:
            response = self._post(ApiPath.PREDICT, json={UPLOAD_FIELD: self._upload(photo, kind), **asked})
        else:
            headers = {"Content-Type": kind}
            response = self._post(ApiPath.PREDICT, content=photo, headers=headers, params=asked or None)
        try:
            answer = Answer.read(json_object(response))
        except (KeyError, TypeError, ValueError) as error:
            raise not_understood(response) from error
        if not answer.predictions or not all(0 <= one.probability <= 1 for one in answer.predictions):
            raise not_understood(response)
        return answer

    def _upload(self, photo: bytes, kind: str) -> str:
        """Send a photo past the API, and return by which name the API knows it."""
        response = self._post(ApiPath.UPLOADS, json={"bytes": len(photo), "content_type": kind})
        try:
            place = Upload.read(json_object(response))
        except (KeyError, TypeError, ValueError) as error:
            raise not_understood(response) from error
        reply = self._send(place.url, lambda: self._http.put(place.url, content=photo, headers=dict(place.headers)))
        if not reply.response.is_success:  # its own words are XML
            status = reply.response.status_code
            raise PhotoError(Cause.UPLOAD, f"The photo could not be uploaded: S3 answered {status}.")
        return place.upload

    def _post(self, path: ApiPath, *, headers: Mapping[str, str] | None = None, **body: Any) -> httpx.Response:
        """Return the API's answer, where it is one and no error."""
        url, key = self._api.at(path), {API_KEY_HEADER: self._api.key}
        reply = self._send(url, lambda: self._http.post(url, headers=key | dict(headers or {}), **body))
        if not reply.response.is_success:
            raise refusal(reply)
        return reply.response

    def _send(self, url: str, request: Callable[[], httpx.Response]) -> Reply:
        try:
            return self._patience.send(request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unreachable(url.partition("?")[0], error) from error  # what follows may sign an upload


def _sendable_type(photo: bytes) -> str:
    """Return what a file is by its first bytes, whatever its name says.

    Raises:
        PhotoError: it is nothing that the API takes in any way, so it need not be sent.
    """
    if len(photo) > MAX_UPLOAD_BYTES:
        raise too_large()
    kind = photo_type(photo)
    if kind is None:
        raise no_photo(photo)
    return kind

"""What the API answers besides predictions (contract.inference): its breeds, how it is, where large photos go."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

API_KEY_HEADER: Final = "x-api-key"
# How long a photo may be sent to the address that POST /uploads answers.
UPLOAD_SECONDS: Final = 15 * 60
MULTIPART_TYPE: Final = "multipart/form-data"
# What the page asks and invites to where the settings do not say it: true of every folder of photos.
PAGE_HEADING: Final = "What is on the photo?"
PAGE_LEAD: Final = "Show it a photo. You get the five names that fit it best, and see what the model looked at."
# The field of a JSON body that names an uploaded photo.
UPLOAD_FIELD: Final = "upload"


@dataclass(frozen=True)
class Breed:
    """One label that the model knows.

    Attributes:
        label: as predictions name it.
        example: where a small photo of it is, a path below the API's address, no slash in front; None: there is none.
    """

    label: str
    example: str | None = None

    def body(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {"label": self.label, "example": self.example}

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Breed":
        """Read the JSON object.

        Raises:
            KeyError: it is none.
        """
        example = body.get("example")
        return cls(str(body["label"]), None if example is None else str(example))


@dataclass(frozen=True)
class Health:
    """Whether photos are answered, by which model, and how good it is.

    Attributes:
        ready: photos are answered now.
        endpoint: SageMaker's word for its state (InService, Creating, Updating, ...), or Absent.
        version: of the model in the registry; None: not known.
        accuracy: share of the test photos that the model names right, 0 to 1; None: not known.
    """

    ready: bool
    endpoint: str
    version: int | None = None
    accuracy: float | None = None

    def body(self) -> dict[str, Any]:
        """Return the response body."""
        known = self.version is not None or self.accuracy is not None
        model = {"version": self.version, "accuracy": self.accuracy} if known else None
        return {"ready": self.ready, "endpoint": self.endpoint, "model": model}

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Health":
        """Read a response body.

        Raises:
            KeyError, TypeError: it is none.
        """
        model = body.get("model") or {}
        return cls(bool(body["ready"]), str(body["endpoint"]), model.get("version"), model.get("accuracy"))


@dataclass(frozen=True)
class Upload:
    """Where a large photo goes, with PUT, before it is predicted.

    Attributes:
        upload: what POST /predict is then given: ``{"upload": "..."}``.
        url: takes the photo, once signed for, of exactly the size that was announced.
        headers: to be sent with it, as they are.
        expires_in: seconds for which ``url`` takes it.
    """

    upload: str
    url: str
    headers: Mapping[str, str]
    expires_in: int = UPLOAD_SECONDS

    def body(self) -> dict[str, Any]:
        """Return the response body."""
        return {
            "upload": self.upload,
            "method": "PUT",
            "url": self.url,
            "headers": dict(self.headers),
            "expires_in": self.expires_in,
        }

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Upload":
        """Read a response body.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        headers = {str(name): str(value) for name, value in dict(body["headers"]).items()}
        return cls(str(body["upload"]), str(body["url"]), headers, int(body["expires_in"]))

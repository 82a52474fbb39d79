"""What the console needs of a cloud; laptop.py and aws.py have one each."""

from collections.abc import Mapping
from typing import Any, Protocol


class Cloud(Protocol):
    """Somewhere AWS's APIs answer."""

    @property
    def name(self) -> str:
        """``laptop`` or ``aws``."""

    @property
    def stage(self) -> str:
        """Which of the app's stages is meant."""

    @property
    def poll_seconds(self) -> float:
        """How often it may be asked for news."""

    def start(self) -> None:
        """Make its APIs answer.

        Raises:
            ConsoleError: they do not; says why.
        """

    def stop(self) -> None:
        """Undo ``start``: ends only what it started."""

    def check_alive(self) -> None:
        """Make sure that waiting for an answer makes sense.

        Raises:
            ConsoleError: what was started here has ended; says why.
        """

    def account(self) -> str:
        """Return the account's number."""

    def region(self) -> str:
        """Return the region."""

    def adapt(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return a stage's settings of cdk.json with what only this very cloud knows, such as a port."""

    def client(self, service: str) -> Any:
        """Return a boto3 client; clients are kept, asking again costs nothing."""

    def environment(self) -> dict[str, str]:
        """Return the whole environment for programs that shall talk to this cloud."""

    def predict_url(self, deployed_url: str) -> str:
        """Return the API's address for people, given the one that it was deployed with."""

    def ca_bundle(self) -> str | None:
        """Return the file with the certificate authorities to trust, or None for the usual ones."""

"""connection.json: how a running local cloud is reached."""

import dataclasses
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import psutil

from console.files import read_json

CONNECTION_FILE: Final = "connection.json"
LOG_FILE: Final = "local-cloud.log"
# One that trains on every core may take its time; one that is gone refuses at once.
_ANSWER_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Connection:
    """The local cloud's own words, see local_cloud; keys that are not named here are ignored."""

    endpoint: str
    ca_bundle: str
    region: str
    access_key_id: str
    secret_access_key: str
    account: str
    api_url: str
    pid: int

    @classmethod
    def load(cls, state: Path) -> "Connection | None":
        """Return what ``state`` says, or None where no local cloud has said anything complete."""
        content = read_json(state / CONNECTION_FILE)
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(content, dict) or not names <= content.keys():
            return None
        return cls(**{name: content[name] for name in names})

    def process(self) -> psutil.Process | None:
        """Return the running process, or None: not running, or the number now belongs to another program."""
        try:
            process = psutil.Process(self.pid)
            return process if "local_cloud" in " ".join(process.cmdline()) else None
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            return None

    def answers(self) -> bool:
        """Whether an AWS endpoint answers there, whatever it says."""
        try:
            httpx.get(self.endpoint, verify=_trust(self.ca_bundle), timeout=_ANSWER_SECONDS, trust_env=False)
        except (httpx.HTTPError, OSError):
            return False
        return True


def _trust(ca_bundle: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_bundle)

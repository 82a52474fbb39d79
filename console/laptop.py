"""The laptop's cloud: a `local_cloud` process that is found running, or started and later ended by us."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config

from console import process
from console.clients import Clients
from console.connection import LOG_FILE, Connection
from console.errors import ConsoleError
from console.interrupts import shielded
from console.project import Project
from console.screen import Screen

DEFAULT_STAGE: Final = "laptop"
IMAGE: Final = "pedigree:laptop"
# What it says before it has a log, or cannot write one.
_OUTPUT_FILE: Final = "console.log"
# Restoring a state with an endpoint means loading torch once.
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 30.0
# The variables that move the local cloud's ports, and where it listens without them.
PORTS: Final[Mapping[str, int]] = {"PEDIGREE_PORT": 4566, "PEDIGREE_API_PORT": 8080}
_OTHER_IDENTITIES: Final = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)


class Laptop:
    """A cloud on 127.0.0.1."""

    name = "laptop"
    poll_seconds = 1.0

    def __init__(self, project: Project, screen: Screen, stage: str = DEFAULT_STAGE) -> None:
        self.stage = stage
        self._project = project
        self._screen = screen
        self._connection: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: Clients | None = None

    @property
    def connection(self) -> Connection:
        """How it is reached.

        Raises:
            ConsoleError: none runs.
        """
        if self._connection is None:
            self._connection = self.running()
        if self._connection is None:
            raise ConsoleError("No local cloud is running.", "Start one in another terminal: make up")
        return self._connection

    @property
    def is_ours(self) -> bool:
        """Whether this command started it, and so ends it."""
        return self._process is not None

    def running(self) -> Connection | None:
        """Return the connection of a local cloud that is alive and answers, or None."""
        found = Connection.load(self._project.local_cloud)
        return found if found is not None and found.process() is not None and found.answers() else None

    def start(self) -> None:
        """Use the local cloud that runs, or start one and wait until it is ready."""
        self._connection = self.running()
        if self._connection is not None:
            return
        for program in ("train", "serve"):
            if not (self._project.programs / program).exists():
                raise ConsoleError(f"{self._project.programs / program} is missing.", "Run: make setup")
        with self._screen.task("Starting the local cloud", "Local cloud ready"):
            self._spawn()
            self._connection = self._await_ready()

    def _spawn(self) -> None:
        state = self._project.local_cloud
        state.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "local_cloud", "--state", str(state)]
        command += ["--port", chosen_port("PEDIGREE_PORT"), "--api-port", chosen_port("PEDIGREE_API_PORT")]
        command += ["--image", f"{IMAGE}={self._project.programs}", "--exit-with-stdin"]
        environment = _without_other_identities() | {"PYTHONUNBUFFERED": "1"}
        (state / _OUTPUT_FILE).unlink(missing_ok=True)  # what an earlier one said is no news
        with shielded():
            self._process = process.start(
                command, environment, self._project.root, state / _OUTPUT_FILE, stdin=subprocess.PIPE
            )

    def _await_ready(self) -> Connection:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            found = Connection.load(self._project.local_cloud)
            if found is not None and found.pid == self._process.pid and found.answers():
                return found
            if self._process.poll() is not None:
                raise self._failure(f"The local cloud ended with code {self._process.returncode} while starting.")
            time.sleep(0.1)
        failure = self._failure(f"The local cloud was not ready within {START_SECONDS:.0f} s.")
        self.stop()
        raise failure

    def _failure(self, message: str) -> ConsoleError:
        state = self._project.local_cloud
        said = process.tail(state / _OUTPUT_FILE, 15) or process.tail(state / LOG_FILE, 15)
        return ConsoleError(message, f"{said}\nIts log: {state / LOG_FILE}")

    def stop(self) -> None:
        """End the local cloud if this command started it."""
        with shielded():
            if self._process is not None:
                process.end(self._process, STOP_SECONDS)
            self._process = None
            self._connection = None
            self._clients = None

    def check_alive(self) -> None:
        """Make sure that the local cloud still runs."""
        if self._process is not None:
            is_alive = self._process.poll() is None
        else:
            is_alive = self._connection is not None and self._connection.process() is not None
        if not is_alive:
            raise self._failure("The local cloud has ended.")

    def end_running(self) -> bool:
        """End the local cloud that runs, whoever started it; returns whether there was one."""
        found = Connection.load(self._project.local_cloud)
        running = found.process() if found is not None else None
        if running is None:
            return False
        with self._screen.task("Ending the local cloud", "Local cloud ended"):
            process.end_tree(running, STOP_SECONDS)
        return True

    def account(self) -> str:
        """Return the account's number."""
        return self.connection.account

    def region(self) -> str:
        """Return the region."""
        return self.connection.region

    def adapt(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return a stage's settings with the API's address moved to where this local cloud listens."""
        api = settings.get("api", {})
        template = urlsplit(api.get("url_template", ""))
        if template.hostname != "localhost":
            return dict(settings)
        moved = f"{self.connection.endpoint}{template.path}"
        return {**settings, "api": {**api, "url_template": moved}}

    def client(self, service: str) -> Any:
        """Return a boto3 client that sees nothing of the person's own AWS settings."""
        if self._clients is None:
            self._clients = Clients(
                _session(self.connection),
                endpoint_url=self.connection.endpoint,
                verify=self.connection.ca_bundle,
                config=Config(
                    proxies={}, retries={"max_attempts": 2}, read_timeout=120, s3={"addressing_style": "path"}
                ),
            )
        return self._clients(service)

    def settings(self) -> dict[str, str]:
        """Return the variables that point AWS tools here."""
        connection = self.connection
        return {
            "AWS_ENDPOINT_URL": connection.endpoint,
            "AWS_CA_BUNDLE": connection.ca_bundle,
            "NODE_EXTRA_CA_CERTS": connection.ca_bundle,
            "AWS_REGION": connection.region,
            "AWS_DEFAULT_REGION": connection.region,
            "AWS_ACCESS_KEY_ID": connection.access_key_id,
            "AWS_SECRET_ACCESS_KEY": connection.secret_access_key,
        }

    def environment(self) -> dict[str, str]:
        """Return the environment for programs that shall talk to the local cloud and to nothing else."""
        return (
            _without_other_identities()
            | self.settings()
            | {
                "AWS_ENDPOINT_URL_S3": self.connection.endpoint,
                # Validating the templates takes longer than the whole deployment here; tests and AWS deployments do it.
                "CDK_VALIDATION": "false",
            }
        )

    def predict_url(self, deployed_url: str) -> str:
        """Return the short address; ``deployed_url`` works too but nobody wants to type it."""
        return self.connection.api_url

    def ca_bundle(self) -> str | None:
        """Return the certificate made for this local cloud."""
        return self.connection.ca_bundle


def _session(connection: Connection) -> boto3.Session:
    bare = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    return boto3.Session(
        aws_access_key_id=connection.access_key_id,
        aws_secret_access_key=connection.secret_access_key,
        region_name=connection.region,
        botocore_session=bare,
    )


def chosen_port(variable: str) -> str:
    """Return the port that a variable of ``PORTS`` moves, or its usual one.

    Raises:
        ConsoleError: what the variable holds is no port.
    """
    text = os.environ.get(variable, "") or str(PORTS[variable])
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ConsoleError(f"{variable}={text}: a port number from 1 to 65535 expected.")
    return text


def _without_other_identities() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _OTHER_IDENTITIES}
    nothing = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    here = ",".join(filter(None, (environment.get("NO_PROXY", ""), "localhost", "127.0.0.1")))
    return environment | nothing | {"NO_PROXY": here, "no_proxy": here}

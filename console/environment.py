"""`pedigree env`: what a shell has to be told to talk to the local cloud."""

import os
import shlex
from collections.abc import Mapping
from typing import Final

from console.errors import ConsoleError
from console.laptop import Laptop
from console.prediction import Api
from console.stacks import deployed
from contract.names import API_PATH

_UNSET: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN")


def export_lines(variables: Mapping[str, str]) -> list[str]:
    """Return lines for bash and zsh; whatever a value contains, the shell takes it as that value."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return [*exports, f"unset {' '.join(_UNSET)}"]


def variables(cloud: Laptop) -> dict[str, str]:
    """Return the variables of a running local cloud; the API's only once it is deployed."""
    found = cloud.settings()
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")):
        found["NO_PROXY"] = cloud.environment()["NO_PROXY"]
    try:
        stage = deployed(cloud)
        api = Api.of(cloud, stage)
    except ConsoleError:
        return found
    return found | {
        "PEDIGREE_API_URL": api.url.removesuffix(API_PATH),
        "PEDIGREE_API_KEY": api.key,
        "PEDIGREE_STATE_MACHINE": stage.state_machine_arn,
    }

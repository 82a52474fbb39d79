"""`pedigree env`: what a shell has to be told to talk to a cloud and to what is deployed there."""

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from console.cloud import Cloud
from console.errors import ConsoleError
from console.laptop import Laptop
from console.prediction.api import Api
from console.stacks import deployed

# What would lead AWS tools away from the local cloud.
OTHER_ACCOUNTS: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN")


def export_lines(variables: Mapping[str, str], unset: Sequence[str] = ()) -> list[str]:
    """Return lines for bash and zsh; whatever a value contains, the shell takes it as that value."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return [*exports, f"unset {' '.join(unset)}"] if unset else exports


def variables(cloud: Cloud) -> dict[str, str]:
    """Return what leads to a cloud; the API's address and key only once it is deployed.

    For AWS that is the region: the person's own credentials are theirs to set, and are never printed.
    """
    found = _laptop(cloud) if isinstance(cloud, Laptop) else {"AWS_REGION": cloud.region()}
    found["AWS_DEFAULT_REGION"] = cloud.region()
    try:
        stage = deployed(cloud)
        api = Api.of(cloud, stage)
    except ConsoleError:
        return found
    return found | {
        "PEDIGREE_API_URL": api.address,
        "PEDIGREE_API_KEY": api.key,
        "PEDIGREE_STATE_MACHINE": stage.state_machine_arn,
    }


def _laptop(cloud: Laptop) -> dict[str, str]:
    found = cloud.settings()
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")):
        found["NO_PROXY"] = cloud.environment()["NO_PROXY"]
    return found

"""Custom resource of an image, second half: told by EventBridge that a build has ended, it answers CloudFormation."""

import json
import logging
from typing import Any, Final

import boto3

from infra.cleanup.cloudformation import respond
from infra.image.start_build import ADDRESS

_FINE: Final = ("SUCCEEDED", None)  # the last phase, COMPLETED, has no status
_logger: Final = logging.getLogger("pedigree")


def handle(event: dict[str, Any], context: object) -> None:
    """Answer the request that a build was started for, with the image's tag or with why there is none."""
    build_id = event["detail"]["build-id"].split(":build/")[-1]
    (build,) = boto3.client("codebuild").batch_get_builds(ids=[build_id])["builds"]
    variables = {each["name"]: each["value"] for each in build["environment"]["environmentVariables"]}
    if ADDRESS not in variables:
        _logger.info("nobody waits for %s: it was started by hand", build_id)
        return
    request = json.loads(variables[ADDRESS])
    tag = f"{variables['TARGET']}-{variables['TAG']}"
    respond(request, request["PhysicalResourceId"], reason=_reason(build), data={"ImageTag": tag})


def _reason(build: Any) -> str:
    """Return why a build has not made its image; nothing where it has."""
    if build["buildStatus"] == "SUCCEEDED":
        return ""
    failed = [phase["phaseType"] for phase in build.get("phases", []) if phase.get("phaseStatus") not in _FINE]
    log = build.get("logs", {}).get("deepLink", "the CodeBuild console")
    return f"the build {build['id']} ended {build['buildStatus']} in {', '.join(failed) or 'no phase'}; see {log}"

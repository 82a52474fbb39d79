"""Custom resource, second half: says whether the build has ended, and how."""

from typing import Any

import boto3


class BuildError(Exception):
    """The image could not be built."""


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return whether the build that start_build.py started has succeeded.

    Raises:
        BuildError: it has ended in any other way; the message says where its log stands.
    """
    if "BuildId" not in event:
        return {"IsComplete": True}
    (build,) = boto3.client("codebuild").batch_get_builds(ids=[event["BuildId"]])["builds"]
    status = build["buildStatus"]
    if status == "IN_PROGRESS":
        return {"IsComplete": False}
    if status != "SUCCEEDED":
        log = build.get("logs", {}).get("deepLink", "the CodeBuild console")
        raise BuildError(f"the build {event['BuildId']} ended {status} in {build.get('currentPhase')}; see {log}")
    return {"IsComplete": True}

"""Which image runs where, and who may pull it."""

import re
from collections.abc import Sequence
from typing import Final

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.image.build import ImageBuild
from infra.policies import allow
from infra.settings import Settings

_ECR_IMAGE: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<name>[^:@]+)[:@].+"
)
PULL: Final = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


class Images(Construct):
    """The URIs of the image for CPU and for GPU instances; the same one where the settings name one.

    ``own_repository`` is the name of the repository that the stage pushes to; empty where it pushes none.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, removal: RemovalPolicy) -> None:
        super().__init__(scope, construct_id)
        if settings.image is not None:
            self.cpu = self.gpu = settings.image
            self._repositories = _repositories_of(settings.image)
            self.own_repository = ""
            return
        build = ImageBuild(self, "Build", image_targets=_targets(settings), removal=removal)
        self.cpu = build.uris.get("cpu", "")
        self.gpu = build.uris.get("cuda", "")
        self._repositories = [build.repository_arn]
        self.own_repository = build.repository_name

    def pull_statements(self) -> list[iam.PolicyStatement]:
        """Return what a role needs to run the images; nothing where they come from no registry of AWS."""
        if not self._repositories:
            return []
        return [
            allow(PULL, self._repositories, sid="ImagePull"),
            allow(["ecr:GetAuthorizationToken"], ["*"], sid="ImageLogin"),  # has no resource-level permission
        ]


def _targets(settings: Settings) -> Sequence[str]:
    """Return the Dockerfile's targets that some job or the endpoint needs."""
    jobs = settings.jobs
    users = (jobs.prepare, jobs.extract, jobs.tune, jobs.train, settings.endpoint)
    return sorted({"cuda" if user.gpu else "cpu" for user in users})


def _repositories_of(image: str) -> list[str]:
    found = _ECR_IMAGE.fullmatch(image)
    if found is None:
        return []
    return [f"arn:{Aws.PARTITION}:ecr:{found['region']}:{found['account']}:repository/{found['name']}"]

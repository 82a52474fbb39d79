"""Builds container/Dockerfile in the cloud at deploy time, so that nobody needs Docker or uploads gigabytes."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aws_cdk import CustomResource, Duration, RemovalPolicy, custom_resources
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.bundles import bundle_path, write_zip
from infra.policies import allow, arn, role
from infra.python_function import PythonFunction

_TAG_LENGTH: Final = 16
_KEPT_IMAGES: Final = 10
_TIME_OUT: Final = Duration.hours(2)
_BUILDSPEC: Final = """
version: 0.2
phases:
  build:
    commands:
      - aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY%%/*}"
      - docker build --target "$TARGET" --tag "$REPOSITORY:$TARGET-$TAG" container
      - docker push "$REPOSITORY:$TARGET-$TAG"
"""


class ImageBuild(Construct):
    """A repository and one image per target, tagged by the hash of what they are built from."""

    def __init__(self, scope: Construct, construct_id: str, *, targets: Sequence[str], removal: RemovalPolicy) -> None:
        super().__init__(scope, construct_id)
        source = write_zip(bundle_path(self, "image-source.zip"), packages=["container"])
        asset = s3_assets.Asset(self, "Source", path=str(source))
        tag = hashlib.sha256(source.read_bytes()).hexdigest()[:_TAG_LENGTH]
        repository = ecr.Repository(
            self,
            "Repository",
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=_KEPT_IMAGES)],
            removal_policy=removal,
            empty_on_delete=removal is RemovalPolicy.DESTROY,
        )
        self.repository_arn = repository.repository_arn
        project = self._make_project(repository, asset, tag)
        provider = self._make_provider(project, repository)
        self.uris: dict[str, str] = {}
        for target in targets:
            image = CustomResource(
                self,
                f"Image-{target}",
                service_token=provider.service_token,
                resource_type="Custom::PedigreeImage",
                properties={
                    "Project": project.ref,
                    "Repository": repository.repository_name,
                    "Target": target,
                    "Tag": tag,
                },
            )
            # Through the resource, so that whatever uses the image waits until it has been built.
            self.uris[target] = f"{repository.repository_uri}:{image.get_att_string('ImageTag')}"

    def _make_project(self, repository: ecr.Repository, asset: s3_assets.Asset, tag: str) -> codebuild.CfnProject:
        return codebuild.CfnProject(
            self,
            "Project",
            description="Builds Pedigree's image",
            service_role=self._make_build_role(repository, asset).role_arn,
            artifacts={"type": "NO_ARTIFACTS"},
            source={
                "type": "S3",
                "location": f"{asset.s3_bucket_name}/{asset.s3_object_key}",
                "buildSpec": _BUILDSPEC,
            },
            environment={
                "type": "LINUX_CONTAINER",
                "computeType": "BUILD_GENERAL1_MEDIUM",
                "image": "aws/codebuild/standard:7.0",
                "privilegedMode": True,  # docker build
                "environmentVariables": [
                    {"name": "REPOSITORY", "value": repository.repository_uri},
                    {"name": "TAG", "value": tag},
                ],
            },
            timeout_in_minutes=int(_TIME_OUT.to_minutes()),
        )

    def _make_build_role(self, repository: ecr.Repository, asset: s3_assets.Asset) -> iam.Role:
        logs = arn(self, "logs", "log-group", "/aws/codebuild/*", separator=":")
        push = [
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:CompleteLayerUpload",
            "ecr:GetDownloadUrlForLayer",
            "ecr:InitiateLayerUpload",
            "ecr:PutImage",
            "ecr:UploadLayerPart",
        ]
        return role(
            self,
            "BuildRole",
            service="codebuild.amazonaws.com",
            description="Pedigree's image build",
            statements=[
                # What CodeBuild's user guide asks for an S3 source.
                allow(
                    ["s3:GetObject", "s3:GetObjectVersion"],
                    [asset.bucket.arn_for_objects(asset.s3_object_key)],
                    sid="Source",
                ),
                allow(["s3:GetBucketAcl", "s3:GetBucketLocation"], [asset.bucket.bucket_arn], sid="SourceBucket"),
                allow(push, [repository.repository_arn], sid="Push"),
                allow(["ecr:GetAuthorizationToken"], ["*"], sid="Login"),  # has no resource-level permission
                allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], [logs], sid="Logs"),
            ],
        )

    def _make_provider(self, project: codebuild.CfnProject, repository: ecr.Repository) -> custom_resources.Provider:
        here = Path(__file__).parent
        find = allow(["ecr:DescribeImages"], [repository.repository_arn], sid="Find")
        start = allow(["codebuild:StartBuild"], [project.attr_arn], sid="Start")
        watch = allow(["codebuild:BatchGetBuilds"], [project.attr_arn], sid="Watch")
        minute = Duration.minutes(1)
        return custom_resources.Provider(
            self,
            "Provider",
            on_event_handler=PythonFunction(
                self, "Start", handler=here / "start_build.py", environment={}, statements=[find, start], timeout=minute
            ).function,
            is_complete_handler=PythonFunction(
                self, "Check", handler=here / "check_build.py", environment={}, statements=[watch], timeout=minute
            ).function,
            query_interval=Duration.seconds(20),
            total_timeout=_TIME_OUT,
        )

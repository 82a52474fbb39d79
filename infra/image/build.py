"""Builds container/Dockerfile in the cloud at deploy time, so that nobody needs Docker or uploads gigabytes."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aws_cdk import CustomResource, Duration, RemovalPolicy
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.bundles import bundle_path, write_zip
from infra.policies import allow, arn, role
from infra.python_function import PythonFunction

_TAG_LENGTH: Final = 16
_KEPT_IMAGES: Final = 10
# CloudFormation waits for one hour. New accounts may run one build at a time: the second one waits for the first.
_QUEUED_MINUTES: Final = 25
_BUILD_MINUTES: Final = 30
_ENDED: Final = ["SUCCEEDED", "FAILED", "FAULT", "STOPPED", "TIMED_OUT"]
_HERE: Final = Path(__file__).parent
_FUNCTION_TIMEOUT: Final = Duration.minutes(2)  # the answer is tried again for a while
# What both functions import, beside their own file.
_SHARED: Final = [
    _HERE.parent / "__init__.py",
    _HERE.parent / "cleanup" / "__init__.py",
    _HERE.parent / "cleanup" / "cloudformation.py",
    _HERE / "__init__.py",
    _HERE / "start_build.py",
]
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

    def __init__(
        self, scope: Construct, construct_id: str, *, image_targets: Sequence[str], removal: RemovalPolicy
    ) -> None:
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
        self.repository_name = repository.repository_name
        project = self._make_project(repository, asset, tag)
        start = self._start_function(project, repository)
        told = self._tell_the_end(project)
        self.uris: dict[str, str] = {}
        for target in image_targets:
            image = CustomResource(
                self,
                f"Image-{target}",
                service_token=start.function_arn,
                resource_type="Custom::PedigreeImage",
                properties={
                    "Project": project.ref,
                    "Repository": repository.repository_name,
                    "Target": target,
                    "Tag": tag,
                },
            )
            image.node.add_dependency(told)
            # Through the resource, so that whatever uses the image waits until it has been built.
            self.uris[target] = f"{repository.repository_uri}:{image.get_att_string('ImageTag')}"

    def _make_project(self, repository: ecr.Repository, asset: s3_assets.Asset, tag: str) -> codebuild.CfnProject:
        log_group = logs.LogGroup(self, "Logs", removal_policy=RemovalPolicy.DESTROY)
        return codebuild.CfnProject(
            self,
            "Project",
            description="Builds Pedigree's image",
            service_role=self._make_build_role(repository, asset, log_group).role_arn,
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
            logs_config={"cloudWatchLogs": {"status": "ENABLED", "groupName": log_group.log_group_name}},
            # There are no artifacts to encrypt; this is CodeBuild's default, said.
            encryption_key=arn(self, "kms", "alias", "aws/s3"),
            queued_timeout_in_minutes=_QUEUED_MINUTES,
            timeout_in_minutes=_BUILD_MINUTES,
        )

    def _make_build_role(
        self, repository: ecr.Repository, asset: s3_assets.Asset, log_group: logs.LogGroup
    ) -> iam.Role:
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
                    sid="BuildSource",
                ),
                allow(["s3:GetBucketAcl", "s3:GetBucketLocation"], [asset.bucket.bucket_arn], sid="BuildSourceBucket"),
                allow(push, [repository.repository_arn], sid="BuildPush"),
                allow(["ecr:GetAuthorizationToken"], ["*"], sid="BuildLogin"),  # has no resource-level permission
                allow(["logs:CreateLogStream", "logs:PutLogEvents"], [f"{log_group.log_group_arn}:*"], sid="BuildLogs"),
            ],
        )

    def _start_function(self, project: codebuild.CfnProject, repository: ecr.Repository) -> lambda_.Function:
        return self._function(
            "Start",
            "start_build.py",
            [
                allow(["ecr:DescribeImages"], [repository.repository_arn], sid="ImageFind"),
                allow(["codebuild:StartBuild"], [project.attr_arn], sid="BuildStart"),
            ],
        )

    def _tell_the_end(self, project: codebuild.CfnProject) -> events.Rule:
        end = self._function(
            "End", "end_build.py", [allow(["codebuild:BatchGetBuilds"], [project.attr_arn], sid="BuildLook")]
        )
        return events.Rule(
            self,
            "Ended",
            event_pattern=events.EventPattern(
                source=["aws.codebuild"],
                detail_type=["CodeBuild Build State Change"],
                detail={"project-name": [project.ref], "build-status": _ENDED},
            ),
            targets=[targets.LambdaFunction(end)],
        )

    def _function(self, construct_id: str, handler: str, statements: Sequence[iam.PolicyStatement]) -> lambda_.Function:
        function = PythonFunction(
            self,
            construct_id,
            handler=_HERE / handler,
            modules=_SHARED,
            environment={},
            statements=statements,
            timeout=_FUNCTION_TIMEOUT,
        )
        return function.function

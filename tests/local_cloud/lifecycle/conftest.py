"""Small stages, deployed and deleted again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings
from tests.local_cloud.conftest import RunningCloud, allow
from tests.local_cloud.lifecycle.stage import Deployed, template_of, upload_assets


@pytest.fixture
def deploy(cloud: RunningCloud, tmp_path: Path) -> Iterator[Callable[..., Deployed]]:
    """A function that deploys a small stage; deleted again after the test."""
    made: list[Deployed] = []

    def deployed(name: str, **values: Any) -> Deployed:
        settings = Settings(stage=name, poll_seconds=1, **values)
        out = tmp_path / name
        body = template_of(out, settings)
        upload_assets(cloud, out, name)
        stack = cloud.client("cloudformation").create_stack(
            StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_IAM"]
        )
        role = cloud.role(f"{name}-jobs", "sagemaker.amazonaws.com", allow(["s3:*", "kms:*", "logs:*"]))
        stage = Deployed(cloud, name, role)
        made.append(stage)
        assert stage.wait(stack["StackId"]) == "CREATE_COMPLETE"
        return stage

    yield deployed
    for stage in made:
        if stage.name in {each["StackName"] for each in cloud.client("cloudformation").describe_stacks()["Stacks"]}:
            stage.delete()

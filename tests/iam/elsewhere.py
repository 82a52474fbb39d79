"""The roles of a stage that only an account can have: images built there, a VPC, SageMaker's Debugger."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.end_to_end.checkout import ROOT
from tests.iam.roles import Role, synthesized

STAGE = "everything"
_OPTIONS: dict[str, Any] = {
    "image": None,
    "debugger": "managed",
    "network": {"subnets": ["subnet-00000000"], "security_groups": ["sg-00000000"]},
}


def roles(folder: Path, on_the_laptop: Mapping[str, Any]) -> list[Role]:
    """Return the roles of a stage with every option on, those included that the local cloud cannot act on.

    Args:
        folder: an empty folder for the synthesized stacks.
        on_the_laptop: the options that it can act on.
    """
    from aws_cdk import App

    from infra.settings import load_settings
    from infra.stacks import build_stage

    context = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]
    app = App(context=context, outdir=str(folder))
    build_stage(app, load_settings({STAGE: {**on_the_laptop, **_OPTIONS}}, STAGE))
    app.synth()
    return synthesized(folder)

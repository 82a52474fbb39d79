"""Pedigree's CDK app: context -> settings -> stacks. Needs no credentials."""

import os
import sys

from aws_cdk import App, Tags, Validations

from contract.names import PROJECT
from infra.checks import SettingsError
from infra.settings import load_settings
from infra.stacks import build_stage


def main() -> None:
    """Synthesize the stacks of the stage that the context names."""
    app = App()
    try:
        settings = load_settings(app.node.try_get_context("stages"), app.node.try_get_context("stage"))
    except SettingsError as error:
        sys.exit(f"cdk.json: {error}")
    build_stage(app, settings)
    Tags.of(app).add(PROJECT, settings.stage)
    # CDK's own switch: it leaves out CDK's validations, but not those of others.
    if os.environ.get("CDK_VALIDATION") != "false":
        from infra.acknowledgements import Review  # takes a while to import

        Validations.of(app).add_plugins(Review())
    app.synth()


if __name__ == "__main__":
    main()

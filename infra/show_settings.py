"""`python -m infra.show_settings --stage dev`: one stage's settings with every default filled in, as JSON.

For programs that may not import this package, such as the console; it needs neither the CDK nor credentials.
"""

import argparse
import dataclasses
import json
import sys
from typing import Any

from infra.cdk_json import read_context
from infra.checks import SettingsError
from infra.settings import load_settings


def resolved(stage: str = "") -> dict[str, Any]:
    """Return every setting of a stage, of cdk.json's own stage if none is named.

    Raises:
        SettingsError: cdk.json has no such stage, or a value in it may not be used.
    """
    context = read_context()
    return dataclasses.asdict(load_settings(context.get("stages"), stage or context.get("stage")))


def main() -> None:
    """Print them; exits 1 with a message where a value may not be used."""
    parser = argparse.ArgumentParser(description="Print one stage's settings, defaults filled in, as JSON.")
    parser.add_argument("--stage", default="", help="a key of stages in cdk.json; default: the stage that it names")
    try:
        print(json.dumps(resolved(parser.parse_args().stage), indent=2))
    except SettingsError as error:
        sys.exit(f"cdk.json: {error}")


if __name__ == "__main__":
    main()

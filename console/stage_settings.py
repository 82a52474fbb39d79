"""A stage's settings, defaults filled in, as the CDK app reads them; the console only starts its program."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from console.errors import ConsoleError
from console.project import Project


def stage_settings(project: Project, stage: str) -> Mapping[str, Any]:
    """Return every setting of a stage.

    Raises:
        ConsoleError: cdk.json has no such stage, or a value in it may not be used.
    """
    command = [sys.executable, "-m", "infra.show_settings", "--stage", stage]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise ConsoleError(done.stderr.strip() or "The settings cannot be read.", "Every key: docs/settings.md")
    settings: dict[str, Any] = json.loads(done.stdout)
    return settings

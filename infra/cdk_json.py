"""cdk.json, read without the CDK: which stages there are and what each says."""

import json
from pathlib import Path
from typing import Any, Final

CDK_JSON: Final = Path(__file__).resolve().parents[1] / "cdk.json"


def read_context(path: Path = CDK_JSON) -> dict[str, Any]:
    """Return the context with its keys ``stage`` and ``stages``."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["context"]
    return content

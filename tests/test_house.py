"""The house's own rules: who may import whom, and what no file may hold."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Which of our packages each package may import, DESIGN's arrows read backwards.
ARROWS: dict[str, set[str]] = {
    "contract": set(),
    "vision": {"contract"},
    "training": {"contract", "vision"},
    "serving": {"contract", "vision"},
    "infra": {"contract"},
    "local_cloud": {"contract"},
    "console": {"contract"},
    "container": set(),
}


def our_imports(source: Path) -> set[str]:
    """Return the names of our packages that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found & ARROWS.keys()


@pytest.mark.parametrize("package", ARROWS)
def test_imports_point_one_way(package: str) -> None:
    sources = sorted((ROOT / package).rglob("*.py"))
    assert sources, f"{package}/ holds no code"
    wrong = {
        f"{source.relative_to(ROOT)} imports {name}"
        for source in sources
        for name in our_imports(source) - ARROWS[package] - {package}
    }
    assert not wrong


def test_contract_needs_the_standard_library_alone() -> None:
    for source in (ROOT / "contract").glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                root = node.module.split(".")[0]
                assert root in sys.stdlib_module_names or root == "contract", f"{source.name} imports {root}"


def test_no_tracked_file_is_a_build_product() -> None:
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], check=True, capture_output=True, text=True
    ).stdout.split("\0")
    if tracked == [""]:
        pytest.skip("not a git checkout")
    assert not [
        name for name in tracked if name.startswith(("build/", "cdk.out/", ".venv/")) or name.endswith((".pyc", ".pt"))
    ]

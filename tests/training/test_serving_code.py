import subprocess
import sys
from pathlib import Path

import pytest

from training.serving_code import copy_serving_code

ROOT = Path(__file__).parents[2]


def test_the_copied_code_is_complete_without_the_rest_of_the_house(tmp_path: Path) -> None:
    copy_serving_code(ROOT, tmp_path)
    assert sorted(path.name for path in (tmp_path / "code").iterdir()) == ["contract", "serving", "vision"]
    assert not list(tmp_path.rglob("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-B", "-c", "import vision.photos, serving; print(vision.photos.__file__)"],
        cwd=tmp_path / "code",
        env={"PYTHONPATH": str(tmp_path / "code")},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(str(tmp_path)), done.stderr


def test_code_of_an_earlier_model_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "code" / "old").mkdir(parents=True)
    copy_serving_code(ROOT, tmp_path)
    assert not (tmp_path / "code" / "old").exists()


def test_a_bundle_without_a_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no contract/"):
        copy_serving_code(tmp_path / "empty", tmp_path)

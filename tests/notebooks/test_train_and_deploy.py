"""The notebook as it is committed: a valid file without outputs, in the house's format, the same for every cloud."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "train_and_deploy.ipynb"


@pytest.fixture(scope="module")
def notebook() -> NotebookNode:
    found: NotebookNode = nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)  # type: ignore[no-untyped-call]
    return found


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_a_valid_notebook(notebook: NotebookNode) -> None:
    nbformat.validate(notebook)


def test_it_is_committed_without_outputs(notebook: NotebookNode) -> None:
    assert code_cells(notebook)
    kept = [cell.id for cell in code_cells(notebook) if cell.outputs or cell.execution_count is not None]
    assert not kept


def test_it_names_no_machine_that_it_was_last_opened_on(notebook: NotebookNode) -> None:
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def test_one_cell_holds_what_a_reader_may_change(notebook: NotebookNode) -> None:
    tagged = [cell.id for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == ["parameters"]


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")], ids=["lint", "format"])
def test_its_code_passes_the_checks_of_all_other_code(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", str(NOTEBOOK)]
    done = subprocess.run(command, cwd=NOTEBOOK.parents[1], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("word", ["laptop", "localhost", "127.0.0.1", "4566", "endpoint_url", "AWS_ENDPOINT_URL"])
def test_no_cell_asks_which_cloud_it_talks_to(notebook: NotebookNode, word: str) -> None:
    assert not [cell.id for cell in code_cells(notebook) if word in cell.source]


def test_it_tells_the_whole_story_in_order(notebook: NotebookNode) -> None:
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert texts[0].startswith("# ")
    chapters = [text.splitlines()[0].removeprefix("## ") for text in texts if text.startswith("## ")]
    assert chapters == [
        "What is deployed",
        "One execution of the state machine",
        "The photos",
        "The jobs",
        "The search for hyperparameters",
        "The final training",
        "Debugging",
        "Profiling",
        "The model registry",
        "The endpoint",
        "A photo that the model has never seen",
        "What to delete, and how",
    ]

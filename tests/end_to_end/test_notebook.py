"""The notebook, executed top to bottom: on the stage of the whole job, and on one where nothing is trained yet."""

import base64
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from PIL import Image

from contract.inference import TOP_K
from tests.end_to_end.checkout import COMMAND_SECONDS, TEST_SECONDS, Checkout, Finished, Up, copy_checkout
from tests.end_to_end.local_stage import add_stage, running_stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(TEST_SECONDS)]

NOTEBOOK = Path("notebooks", "train_and_deploy.ipynb")
PICTURES = ("timeline", "grid", "trial-plot", "history", "tensor-plot", "profile", "show")
FIRST_TIME = "untouched"


@dataclass(frozen=True)
class Jupyter:
    """Executes the notebook of a checkout with the variables that lead to a stage."""

    checkout: Checkout
    variables: Mapping[str, str]
    folder: Path

    def execute(self, last: str = "", **parameters: Any) -> dict[str, NotebookNode]:
        """Execute the notebook, up to the cell ``last`` if one is given; return its code cells by their ids."""
        root = self.checkout.root
        notebook = nbformat.read(root / NOTEBOOK, nbformat.NO_CONVERT)  # type: ignore[no-untyped-call]
        if last:
            ids = [cell.id for cell in notebook.cells]
            notebook.cells = notebook.cells[: ids.index(last) + 1]
        cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
        cells["parameters"].source += "".join(f"\n{name} = {value!r}" for name, value in parameters.items())
        where = {"metadata": {"path": str(root / NOTEBOOK.parent)}}
        client = NotebookClient(notebook, timeout=int(COMMAND_SECONDS), kernel_name="python3", resources=where)
        client.execute(env={**self.checkout.environment, **self.variables, "IPYTHONDIR": str(self.folder)})
        return cells


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where Jupyter keeps its files: nothing that is set up on this machine counts, and nothing is left there."""
    made = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(made / name.lower()))
        yield made


@pytest.fixture(scope="module")
def jupyter(up: Up, folder: Path) -> Jupyter:
    return Jupyter(up.checkout, up.variables, folder)


@pytest.fixture(scope="module")
def cells(jupyter: Jupyter) -> dict[str, NotebookNode]:
    return jupyter.execute()


def text(cell: NotebookNode) -> str:
    """Return what a cell shows: tables as HTML, sentences as Markdown, and what it prints."""
    shown = []
    for output in cell.outputs:
        data = output.get("data", {})
        shown.append(data.get("text/html") or data.get("text/markdown") or output.get("text", ""))
    return "\n".join(shown)


def pictures(cell: NotebookNode) -> list[Image.Image]:
    found = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
    return [Image.open(io.BytesIO(base64.b64decode(png))) for png in found]


def test_every_cell_runs_and_none_warns(cells: dict[str, NotebookNode]) -> None:
    assert all(cell.execution_count for cell in cells.values())
    assert not [output.text for cell in cells.values() for output in cell.outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize("name", PICTURES)
def test_it_shows_pictures(cells: dict[str, NotebookNode], name: str) -> None:
    (picture,) = pictures(cells[name])
    assert picture.width > 300


def test_it_is_about_the_execution_that_succeeded(finished: Finished, cells: dict[str, NotebookNode]) -> None:
    assert finished.summary["execution_arn"].rpartition(":")[2] in text(cells["follow"])


def test_its_tables_show_what_the_run_left(finished: Finished, cells: dict[str, NotebookNode]) -> None:
    summary = finished.summary
    assert f"{summary['classes']} classes" in text(cells["counts"])
    assert all(Path(photo["path"]).name in text(cells["counts"]) for photo in summary["photos_left_out"])
    assert text(cells["trial-table"]).count("<tr>") == 1 + summary["options"]["trials"]
    assert f"{summary['best_hyperparameters']['lr']:.4g}" in text(cells["best-table"])
    assert f"{summary['test_accuracy']:.1%}" in text(cells["package"])
    assert "InService" in text(cells["endpoint-table"])


def test_its_reading_of_the_curve_is_that_of_the_training(finished: Finished, cells: dict[str, NotebookNode]) -> None:
    verdict = finished.summary["verdict"]
    assert verdict["text"] in text(cells["verdict"])
    assert verdict["advice"] in text(cells["verdict"])


def test_endpoint_and_api_say_the_same_of_a_photo(finished: Finished, cells: dict[str, NotebookNode]) -> None:
    shares = [float(share) for share in re.findall(r">([\d.]+)%<", text(cells["ask"]))]
    assert len(shares) == 2 * min(
        TOP_K, finished.summary["classes"]
    )  # of each label one by the endpoint, one by the API
    assert shares[::2] == shares[1::2]
    assert 0 < sum(shares[::2]) <= 100.1


def test_an_execution_that_fails_is_told_with_its_cause(jupyter: Jupyter) -> None:
    with pytest.raises(CellExecutionError, match=r"FAILED: .*trials.* must be a whole number"):
        jupyter.execute("follow", EXECUTION="new", GIVEN={"trials": 0})


@pytest.mark.laptop_only("deploys a stage of its own")
def test_where_nothing_was_trained_it_starts_an_execution_and_follows_it(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    checkout = copy_checkout(tmp_path_factory.mktemp("notebook") / "pedigree")
    add_stage(checkout, FIRST_TIME)
    with running_stage(checkout, FIRST_TIME) as stage:
        cells = Jupyter(checkout, stage.variables, folder).execute(GIVEN={"trials": 1, "epochs": 1})
    said = [line.split("  ")[1] for line in text(cells["follow"]).splitlines() if re.match(r"\d\d:\d\d:\d\d  ", line)]
    assert {"Prepare", "Tune", "Train"} <= set(said)
    assert "InService" in text(cells["endpoint-table"])
    assert pictures(cells["show"])

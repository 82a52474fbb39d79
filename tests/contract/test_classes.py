from pathlib import Path

import pytest

from contract.classes import Classes, label_of


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("001.Affenpinscher", "Affenpinscher"),
        ("002.Border_collie", "Border collie"),
        ("Perro_sin_pelo_del_Perú", "Perro sin pelo del Perú"),
        ("2.", "2."),
        ("v1.2_engine", "v1.2 engine"),
    ],
)
def test_a_folder_reads_as_its_label(folder: str, label: str) -> None:
    assert label_of(folder) == label


def test_classes_survive_the_file(tmp_path: Path) -> None:
    classes = Classes(("001.Pug", "002.Perro_español"))
    classes.save(tmp_path / "classes.json")
    assert Classes.load(tmp_path / "classes.json") == classes


def test_one_class_is_no_classifier() -> None:
    with pytest.raises(ValueError, match="at least 2 classes"):
        Classes(("001.Pug",))


def test_two_folders_with_one_label_are_refused() -> None:
    with pytest.raises(ValueError, match="read as Pug"):
        Classes(("001.Pug", "002.Pug"))


def test_a_folder_that_reads_as_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="the class folder '_' reads as no name at all: rename it"):
        Classes(("Pug", "_"))

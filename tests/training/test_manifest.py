import json
from pathlib import Path

from training.manifest import Manifest, Remark, fingerprint

MANIFEST = Manifest(
    source="toy",
    seed=3,
    splits="as the source has them",
    fingerprint="abc",
    counts={"001.Pug": {"train": 8, "valid": 1, "test": 1}, "002.Épagneul": {"train": 5, "valid": 2, "test": 3}},
    left_out=(Remark("train/001.Pug/1.jpg", "empty"),),
    converted=(),
    resized=2,
)


def test_the_summary_has_the_few_fields_that_the_state_machine_carries(tmp_path: Path) -> None:
    MANIFEST.save(tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text()) == {
        "source": "toy",
        "fingerprint": "abc",
        "classes": 2,
        "counts": {"train": 13, "valid": 3, "test": 4},
        "left_out": 1,
        "converted": 0,
    }


def test_the_manifest_names_classes_and_reported_photos(tmp_path: Path) -> None:
    MANIFEST.save(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["class_folders"][1] == {
        "folder": "002.Épagneul",
        "label": "Épagneul",
        "counts": {"train": 5, "valid": 2, "test": 3},
    }
    assert manifest["photos_left_out"] == [{"path": "train/001.Pug/1.jpg", "reason": "empty"}]


def test_the_fingerprint_knows_contents_and_places_but_no_order() -> None:
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1", "b": "2"}) != fingerprint({"a": "2", "b": "1"})
    assert fingerprint({"a": "1"}) != fingerprint({"a": "1", "b": "2"})

import errno
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from training.errors import PhotosError
from training.manifest import Manifest
from training.prepare import main, prepare
from training.sources import Source

PhotoMaker = Callable[..., bytes]
SetMaker = Callable[..., Path]

ROOT = Path(__file__).parents[2]
COMPLETE: dict[str | None, dict[str, int]] = {
    "train": {"001.Pug": 4, "002.Boxer": 4},
    "valid": {"001.Pug": 1, "002.Boxer": 1},
    "test": {"001.Pug": 1, "002.Boxer": 1},
}


def prepared(source: Path, target: Path, seed: int = 0) -> tuple[Manifest, dict[str, Any]]:
    manifest = prepare(Source(str(source)), target, seed)
    return manifest, json.loads((target / "manifest.json").read_text(encoding="utf-8"))


def photos_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*/*"))


def run_job(*arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # What a shell starts in the background ignores Ctrl-C, and so would all that these tests start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "training" / "prepare.py"), *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_data_set_is_left_in_the_model_dir(make_set: SetMaker, tmp_path: Path) -> None:
    manifest, _ = prepared(make_set(COMPLETE), tmp_path / "out")
    assert manifest.totals == {"train": 8, "valid": 2, "test": 2}
    assert len(photos_below(tmp_path / "out")) == 12
    assert "valid/002.Boxer/0.jpg" in photos_below(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "examples",
        "manifest.json",
        "summary.json",
        "test",
        "train",
        "valid",
    ]


def test_nothing_is_left_beside_the_model_dir(make_set: SetMaker, tmp_path: Path) -> None:
    prepared(make_set(COMPLETE), tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "photos"]


def test_bad_photos_are_reported_and_the_others_used(make_set: SetMaker, tmp_path: Path, photo: PhotoMaker) -> None:
    source = make_set(COMPLETE)
    pugs = source / "train" / "001.Pug"
    (pugs / "text.jpg").write_text("not a photo")
    (pugs / "empty.jpg").touch()
    (pugs / "cut.jpg").write_bytes(photo(50, size=(300, 300))[:2000])
    (pugs / "print.JPG").write_bytes(photo(51, mode="CMYK"))
    manifest, written = prepared(source, tmp_path / "out")
    reasons = {entry["path"]: entry["reason"] for entry in written["photos_left_out"]}
    assert set(reasons) == {f"train/001.Pug/{name}.jpg" for name in ("text", "empty", "cut")}
    assert "truncated" in reasons["train/001.Pug/cut.jpg"]
    assert written["photos_converted"] == [{"path": "train/001.Pug/print.JPG", "reason": "CMYK colours to RGB"}]
    assert manifest.counts["001.Pug"] == {"train": 5, "valid": 1, "test": 1}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["left_out"], summary["converted"]) == (3, 1)


def test_a_set_without_splits_is_split(make_set: SetMaker, tmp_path: Path) -> None:
    manifest, written = prepared(make_set({None: {"Pug": 20, "Boxer": 10}}), tmp_path / "out")
    assert manifest.counts == {
        "Boxer": {"train": 8, "valid": 1, "test": 1},
        "Pug": {"train": 16, "valid": 2, "test": 2},
    }
    assert written["splits"].startswith("valid and test taken from all photos, 10% of every class each")


def test_a_missing_validation_split_is_taken_from_train_and_said(make_set: SetMaker, tmp_path: Path) -> None:
    source = make_set({"train": {"Pug": 10, "Boxer": 10}, "test": {"Pug": 2, "Boxer": 2}})
    manifest, written = prepared(source, tmp_path / "out")
    assert manifest.totals == {"train": 18, "valid": 2, "test": 4}
    assert written["splits"].startswith("valid taken from train")


def test_the_same_photo_is_never_in_two_splits(make_set: SetMaker, tmp_path: Path) -> None:
    source = make_set(COMPLETE)
    twin = source / "train" / "001.Pug" / "twin.jpg"
    twin.write_bytes((source / "test" / "001.Pug" / "0.jpg").read_bytes())
    _, written = prepared(source, tmp_path / "out")
    assert written["photos_left_out"] == [
        {"path": "train/001.Pug/twin.jpg", "reason": "the same photo as test/001.Pug/0.jpg"}
    ]


def test_a_resized_copy_of_a_test_photo_is_kept_and_said_to_be_there(
    make_set: SetMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_set(COMPLETE)
    marks = Image.effect_noise((12, 9), 90).resize((240, 180)).convert("RGB")
    marks.save(source / "test" / "002.Boxer" / "marked.jpg", quality=95)
    marks.resize((120, 90)).save(source / "train" / "002.Boxer" / "copy.jpg", quality=40)
    assert main(["--source", str(source), "--model-dir", str(tmp_path / "out")]) == 0
    said = capfd.readouterr().out
    assert "test photo" in said
    assert "test/002.Boxer/marked.jpg" in said
    written = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    pairs = [pair for pair in written["near_duplicates"] if "test/002.Boxer/marked.jpg" in pair["photos"]]
    assert [pair["photos"] for pair in pairs] == [["test/002.Boxer/marked.jpg", "train/002.Boxer/copy.jpg"]]
    assert (tmp_path / "out" / "train" / "002.Boxer" / "copy.jpg").is_file()


def test_the_manifest_says_how_large_photos_were(make_set: SetMaker, tmp_path: Path, photo: PhotoMaker) -> None:
    source = make_set(COMPLETE)
    (source / "test" / "001.Pug" / "large.jpg").write_bytes(photo(70, size=(900, 700)))
    _, written = prepared(source, tmp_path / "out")
    assert written["image_sizes"]["train"] == {"smallest": "48 x 40", "median": "48 x 40", "largest": "48 x 40"}
    assert written["image_sizes"]["test"]["largest"] == "900 x 700"


def test_photos_of_one_name_do_not_overwrite_each_other(make_set: SetMaker, tmp_path: Path, photo: PhotoMaker) -> None:
    source = make_set(COMPLETE)
    pugs = source / "train" / "001.Pug"
    (pugs / "0.png").write_bytes(photo(60, kind="PNG"))
    (pugs / "more").mkdir()
    (pugs / "more" / "0.JPG").write_bytes(photo(61))
    prepared(source, tmp_path / "out")
    names = sorted(p.name for p in (tmp_path / "out" / "train" / "001.Pug").iterdir())
    assert names == ["0-2.jpg", "0-3.jpg", "0.jpg", "1.jpg", "2.jpg", "3.jpg"]


def test_names_in_any_script_are_kept(make_set: SetMaker, tmp_path: Path) -> None:
    manifest, _ = prepared(make_set({None: {"Épagneul breton": 3, "柴犬": 3}}), tmp_path / "out")
    assert list(manifest.counts) == ["Épagneul breton", "柴犬"]
    assert (tmp_path / "out" / "train" / "柴犬").is_dir()


def test_the_fingerprint_is_of_the_photos_wherever_they_come_from(make_set: SetMaker, tmp_path: Path) -> None:
    source = make_set(COMPLETE)
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for path in source.rglob("*.jpg"):
            opened.write(path, f"dogImages/{path.relative_to(source).as_posix()}")
    from_folder, _ = prepared(source, tmp_path / "a")
    from_zip, _ = prepared(archive, tmp_path / "b")
    assert from_folder.fingerprint == from_zip.fingerprint
    (source / "train" / "001.Pug" / "0.jpg").unlink()
    assert prepared(source, tmp_path / "c")[0].fingerprint != from_folder.fingerprint


def test_the_source_is_not_changed(make_set: SetMaker, tmp_path: Path) -> None:
    source = make_set(COMPLETE)
    before = {path: path.read_bytes() for path in source.rglob("*.jpg")}
    prepared(source, tmp_path / "out")
    assert {path: path.read_bytes() for path in source.rglob("*.jpg")} == before


def test_a_prepared_set_is_replaced_as_a_whole(make_set: SetMaker, tmp_path: Path) -> None:
    prepared(make_set(COMPLETE), tmp_path / "out")
    manifest, _ = prepared(make_set({None: {"Lynx": 3, "Puma": 3}}, root="cats"), tmp_path / "out")
    assert list(manifest.counts) == ["Lynx", "Puma"]
    assert not (tmp_path / "out" / "train" / "001.Pug").exists()


def test_photos_of_the_user_in_the_model_dir_are_never_replaced(make_set: SetMaker, tmp_path: Path) -> None:
    other = make_set(COMPLETE, root="precious")
    with pytest.raises(PhotosError, match="holds photos that this job did not put there"):
        prepared(make_set(COMPLETE), other)
    assert len(photos_below(other)) == 12


@pytest.mark.parametrize("inside", ["", "out"])
def test_the_model_dir_must_not_overlap_the_source(make_set: SetMaker, inside: str) -> None:
    source = make_set(COMPLETE)
    with pytest.raises(PhotosError, match="overlap"):
        prepared(source, source / inside)


def test_an_error_leaves_the_prepared_set_that_was_there(make_set: SetMaker, tmp_path: Path) -> None:
    prepared(make_set(COMPLETE), tmp_path / "out")
    with pytest.raises(PhotosError):
        prepared(make_set({None: {"Pug": 5}}, root="one"), tmp_path / "out")
    assert (tmp_path / "out" / "manifest.json").exists()
    assert len(photos_below(tmp_path / "out")) == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("train/001.Pug", "test/001.Pug"), "class folder test/001.Pug holds no photos"),
        (("test/001.Pug",), "class folder test/001.Pug holds no photos"),
        (("train", "valid", "test"), "holds no photos: expected"),
    ],
)
def test_folders_without_photos_are_named(
    make_set: SetMaker, tmp_path: Path, change: tuple[str, ...], message: str
) -> None:
    source = make_set(COMPLETE)
    for place in change:
        for path in (source / place).rglob("*.jpg"):
            path.unlink()
    if change[0] == "train/001.Pug":
        message = "class folder train/001.Pug holds no photos"
    with pytest.raises(PhotosError, match=message):
        prepared(source, tmp_path / "out")


def test_a_class_of_bad_photos_only_is_named_with_the_reason(make_set: SetMaker, tmp_path: Path) -> None:
    source = make_set(COMPLETE)
    (source / "valid" / "002.Boxer" / "0.jpg").write_bytes(b"")
    with pytest.raises(PhotosError, match=r"valid/002.Boxer holds no usable photos \(valid/002.Boxer/0.jpg: the photo"):
        prepared(source, tmp_path / "out")


def test_a_user_error_is_the_last_line_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    assert main(["--source", str(tmp_path / "photos"), "--model-dir", str(tmp_path / "out")]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("PhotosError: the folder photos holds no photos: expected")


def test_the_job_runs_as_a_script_with_sagemakers_environment(make_set: SetMaker, tmp_path: Path) -> None:
    source = make_set({None: {"Pug": 30, "Boxer": 10}})  # enough for worker processes
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SM_MODEL_DIR": str(tmp_path / "model")}
    script = [sys.executable, str(ROOT / "training" / "prepare.py"), "--source", str(source)]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "prepare: 2 classes, 32 train, 4 valid, 4 test photos; 0 left out" in done.stdout
    assert (tmp_path / "model" / "summary.json").exists()


def test_control_characters_of_a_file_name_do_not_reach_the_log(
    make_set: SetMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_set(COMPLETE)
    (source / "train" / "001.Pug" / "a\x1b[31m\n#metric x=1;.jpg").touch()
    main(["--source", str(source), "--model-dir", str(tmp_path / "out")])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert not any(line.startswith("#metric") for line in out.splitlines())


def processes_of_session(leader: int) -> list[int]:
    """Return the living processes of a session, by /proc; zombies are dead."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_it_is_stopped_no_process_and_no_half_data_set_stays(tmp_path: Path, how: signal.Signals) -> None:
    job = run_job("--source", "toy", "--model-dir", str(tmp_path / "out"))
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob(".prepare-*/toy/*/*/*.jpg"))) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    job.send_signal(how)
    job.communicate(timeout=30)
    while processes_of_session(job.pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert list((tmp_path / "out").iterdir()) == []
    if how != signal.SIGKILL:
        assert list(tmp_path.glob(".prepare-*")) == []


@pytest.mark.slow
def test_real_photos_are_copied_as_they_are(dogs: Path, tmp_path: Path) -> None:
    manifest, _ = prepared(dogs, tmp_path / "out")
    assert manifest.totals == {"train": 726, "valid": 90, "test": 90}
    assert (manifest.left_out, manifest.converted, manifest.resized) == ((), (), 0)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "OSError: the disk is full: the prepared photos and"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/p"),
            "PermissionError: /p: Permission denied: the photos",
        ),
    ],
)
def test_a_full_disk_or_a_closed_folder_is_the_last_line_without_a_traceback(
    make_set: SetMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: OSError,
    line: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("training.prepare.prepare_photo", fail)
    assert main(["--source", str(make_set(COMPLETE)), "--model-dir", str(tmp_path / "out")]) == 1
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith(line)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "photos"]

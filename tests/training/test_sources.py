import zipfile
from pathlib import Path

import pytest

from training.errors import PhotosError
from training.sources import Source


def fetch(text: str, tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir(exist_ok=True)
    return Source(text).fetch(tmp_path / "scratch", seed=0, say=lambda _: None)


def test_a_local_folder_is_read_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert fetch(str(tmp_path / "photos"), tmp_path) == tmp_path / "photos"


def test_a_local_zip_is_unpacked_and_kept(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("Pug/1.jpg", b"x")
    folder = fetch(str(tmp_path / "p.zip"), tmp_path)
    assert (folder / "Pug" / "1.jpg").read_bytes() == b"x"
    assert (tmp_path / "p.zip").exists()


def test_what_the_platform_fetched_is_read_where_it_is_under_the_user_s_name_for_it(tmp_path: Path) -> None:
    source = Source("s3://photos/dogs", tmp_path / "channel")
    assert source.fetch(tmp_path, seed=0, say=lambda _: None) == tmp_path / "channel"
    assert source.shown == "s3://photos/dogs"


def test_a_zip_that_the_platform_fetched_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "channel").mkdir()
    with zipfile.ZipFile(tmp_path / "channel" / "dogs#1.ZIP", "w") as archive:
        archive.writestr("Pug/1.jpg", b"x")
    folder = Source("s3://photos/dogs#1.ZIP", tmp_path / "channel").fetch(tmp_path, seed=0, say=lambda _: None)
    assert (folder / "Pug" / "1.jpg").read_bytes() == b"x"


def test_the_toy_source_is_drawn_whatever_the_platform_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.toy.draw_data_set", lambda folder, seed, say: folder.mkdir())
    assert Source("toy", tmp_path / "channel").fetch(tmp_path, seed=0, say=lambda _: None) == tmp_path / "toy"


def test_a_file_that_is_no_zip_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "p.zip").write_bytes(b"<html>Not found</html>")
    with pytest.raises(PhotosError, match=r"p\.zip is not a zip archive \(it starts with b'<html>Not found"):
        fetch(str(tmp_path / "p.zip"), tmp_path)


@pytest.mark.parametrize("text", ["no/such/place", "C:\\photos"])
def test_a_source_that_is_not_there_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(PhotosError, match="was not found: give toy, https"):
        fetch(text, tmp_path)


def test_no_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotosError, match="no source given"):
        fetch(" ", tmp_path)


@pytest.mark.parametrize("text", ["ftp://host/a.zip", "gs://bucket/a", "file:///etc/passwd", "HTTPX://a/b.zip"])
def test_an_unknown_kind_of_source_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(PhotosError, match="is of an unknown kind: give toy"):
        fetch(text, tmp_path)


def test_plain_http_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(PhotosError, match="plain http is not read"):
        fetch("http://host/a.zip", tmp_path)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:secret@host/a.zip?X-Amz-Signature=secret#x", "https://host/a.zip"),
        ("https://host:8443/a.zip", "https://host:8443/a.zip"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("../photos", "../photos"),
        ("toy", "toy"),
    ],
)
def test_what_is_shown_of_a_source_holds_no_secret(text: str, shown: str) -> None:
    assert Source(text).shown == shown


def test_the_toy_source_draws_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.toy.PHOTOS", {"train": 1, "valid": 1, "test": 1})
    folder = fetch("toy", tmp_path)
    assert len(list(folder.glob("*/*/*.jpg"))) == 24


def test_half_a_zip_archive_is_said_to_be_one(tmp_path: Path) -> None:
    archive = tmp_path / "p.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("Pug/1.jpg", bytes(1000))
    archive.write_bytes(archive.read_bytes()[:500])
    with pytest.raises(PhotosError, match=r"p\.zip is a zip archive that is cut short or damaged: make or download"):
        fetch(str(archive), tmp_path)

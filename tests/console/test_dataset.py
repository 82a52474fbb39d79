import os
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from console import dataset
from console.errors import ConsoleError
from tests.console.fakes import FakeCloud


def _ignore(done: int, total: int) -> None:
    pass


def test_a_folder_packs_to_the_same_bytes_whenever_and_in_whatever_order(
    make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_folder(**{"train__b__2.jpg": b"two", "train__a__1.jpg": b"one"})
    dataset.pack(folder, tmp_path / "first.zip", _ignore)
    os.utime(folder / "train/a/1.jpg", (1, 1))
    (folder / "train/a/1.jpg").chmod(0o600)
    dataset.pack(folder, tmp_path / "second.zip", _ignore)
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_photos_are_stored_not_compressed_again(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    dataset.pack(make_folder(**{"a__1.jpg": b"x" * 1000}), tmp_path / "p.zip", _ignore)
    with zipfile.ZipFile(tmp_path / "p.zip") as packed:
        assert packed.getinfo("a/1.jpg").compress_size == 1000
        assert packed.testzip() is None


def test_an_empty_class_folder_is_packed_too(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder(**{"a__1.jpg": b"x"})
    (folder / "b").mkdir()
    dataset.pack(folder, tmp_path / "p.zip", _ignore)
    assert zipfile.ZipFile(tmp_path / "p.zip").namelist() == ["a/", "a/1.jpg", "b/"]


def test_hidden_files_and_what_is_no_file_are_left_out(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder(**{"a__1.jpg": b"x", "a__.DS_Store": b"x", ".git__config": b"x", "__MACOSX__a.jpg": b"x"})
    os.mkfifo(folder / "a" / "pipe")
    (folder / "a" / "nowhere.jpg").symlink_to(folder / "missing")
    dataset.pack(folder, tmp_path / "p.zip", _ignore)
    assert "a/1.jpg" in zipfile.ZipFile(tmp_path / "p.zip").namelist()
    assert not {"a/pipe", "a/nowhere.jpg", "a/.DS_Store", ".git/config"} & set(
        zipfile.ZipFile(tmp_path / "p.zip").namelist()
    )


def test_links_to_folders_are_followed_but_not_in_circles(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder(**{"a__1.jpg": b"x"})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "2.jpg").write_bytes(b"y")
    (folder / "b").symlink_to(tmp_path / "elsewhere")
    (folder / "a" / "up").symlink_to(folder)
    dataset.pack(folder, tmp_path / "p.zip", _ignore)
    names = zipfile.ZipFile(tmp_path / "p.zip").namelist()
    assert [name for name in names if not name.endswith("/")] == ["a/1.jpg", "b/2.jpg"]


def test_packing_tells_how_far_it_is(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    folder = make_folder(**{"a__1.jpg": b"x"})
    dataset.pack(folder, tmp_path / "p.zip", lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("data", ["toy", "s3://bucket/prefix", "https://example.org/dogs.zip"])
def test_words_and_addresses_pass_as_they_are(data: str) -> None:
    assert dataset.check(data) == data


def test_a_folder_passes_as_its_path(make_folder: Callable[..., Path]) -> None:
    folder = make_folder(**{"a__1.JPG": b"x"})
    assert dataset.check(str(folder)) == folder


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("nowhere", "no such folder or file"),
        ("http://example.org/dogs.zip", "https://"),
        ("https://example.org/dogs.tar", r"\.zip"),
    ],
)
def test_a_wrong_source_is_refused_before_anything_starts(data: str, complaint: str) -> None:
    with pytest.raises(ConsoleError, match=complaint):
        dataset.check(data)


def test_a_folder_without_photos_is_named(make_folder: Callable[..., Path]) -> None:
    folder = make_folder(**{"a__notes.txt": b"x"})
    with pytest.raises(ConsoleError, match=f"{folder} holds no photos"):
        dataset.check(str(folder))


def test_an_empty_class_folder_is_named_before_anything_starts(make_folder: Callable[..., Path]) -> None:
    folder = make_folder(**{"train__a__1.jpg": b"x", "train__c__1.jpg": b"x"})
    (folder / "train" / "b").mkdir()
    with pytest.raises(ConsoleError, match=f"{folder}/train/b is empty"):
        dataset.check(str(folder))


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(b"no zip")
    with pytest.raises(ConsoleError, match="no zip archive"):
        dataset.check(str(tmp_path / "photos.zip"))


def test_an_archive_that_is_there_is_not_sent_again(cloud: FakeCloud, tmp_path: Path) -> None:
    archive = tmp_path / "photos.zip"
    archive.write_bytes(b"content")
    digest = dataset.sha256(archive)
    cloud.stub("s3").add_response("head_object", {}, {"Bucket": "bucket", "Key": f"datasets/{digest}.zip"})
    source = dataset.upload(archive, cloud, "bucket", _ignore)
    assert source == dataset.Source(f"s3://bucket/datasets/{digest}.zip", digest)


def test_parts_that_are_sent_at_once_are_counted_one_after_the_other(
    cloud: FakeCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "photos.zip"
    archive.write_bytes(b"content!")
    cloud.stub("s3").add_client_error("head_object", "404", http_status_code=404)

    def send(*_: str, Callback: Callable[[int], None]) -> None:  # noqa: N803 - boto3's name
        parts = [threading.Thread(target=Callback, args=(1,)) for _ in range(8)]
        for part in parts:
            part.start()
        for part in parts:
            part.join()

    seen: list[int] = []

    def show(done: int, total: int) -> None:
        time.sleep((total - done) / 200)  # the first one is the slowest
        seen.append(done)

    monkeypatch.setattr(cloud.client("s3"), "upload_file", send)
    dataset.upload(archive, cloud, "bucket", show)
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8]


def test_an_archive_that_is_not_there_is_sent(cloud: FakeCloud, tmp_path: Path) -> None:
    archive = tmp_path / "photos.zip"
    archive.write_bytes(b"content")
    cloud.stub("s3").add_client_error("head_object", "404", http_status_code=404)
    cloud.stub("s3").add_response("put_object", {})
    dataset.upload(archive, cloud, "bucket", _ignore)
    cloud.stub("s3").assert_no_pending_responses()

import random
import stat
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from training.archive import Limits, is_hidden, unpack
from training.errors import PhotosError


def make_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def files_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_files_of_an_archive_are_written_below_the_target(tmp_path: Path) -> None:
    archive = make_zip(
        tmp_path / "a.zip", {"dogImages/train/001.Pug/1.jpg": b"x", "dogImages/valid/001.Pug/2.jpg": b"y"}
    )
    unpack(archive, tmp_path / "out")
    assert files_below(tmp_path / "out") == ["dogImages/train/001.Pug/1.jpg", "dogImages/valid/001.Pug/2.jpg"]


@pytest.mark.parametrize("name", ["../evil.jpg", "a/../../evil.jpg", "/etc/evil.jpg", "..\\evil.jpg", "C:\\evil.jpg"])
def test_a_name_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    archive = make_zip(tmp_path / "a.zip", {name: b"x"})
    with pytest.raises(PhotosError, match=r"a\.zip holds the unsafe file name"):
        unpack(archive, tmp_path / "in" / "out")
    assert files_below(tmp_path) == ["a.zip"]


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("train/passwd.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(PhotosError, match=r"holds the link 'train/passwd\.jpg'"):
        unpack(path, tmp_path / "out")


def test_an_empty_folder_in_the_archive_is_made_so_that_its_class_can_be_named(tmp_path: Path) -> None:
    archive = tmp_path / "dogs.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("train/001.Pug/", "")
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out" / "train" / "001.Pug").is_dir()


def test_backslashes_of_old_windows_archivers_are_folders(tmp_path: Path) -> None:
    unpack(make_zip(tmp_path / "a.zip", {"train\\Pug\\1.jpg": b"x"}), tmp_path / "out")
    assert files_below(tmp_path / "out") == ["train/Pug/1.jpg"]


def test_files_of_file_managers_are_passed_over(tmp_path: Path) -> None:
    members = {"__MACOSX/train/._1.jpg": b"x", "train/.DS_Store": b"x", "train/Thumbs.db": b"x", "train/1.jpg": b"x"}
    unpack(make_zip(tmp_path / "a.zip", members), tmp_path / "out")
    assert files_below(tmp_path / "out") == ["train/1.jpg"]


def test_a_bomb_is_refused_by_its_declared_size(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"bomb.jpg": bytes(50 << 20)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(PhotosError, match="looks like a zip bomb"):
        unpack(archive, tmp_path / "out")
    assert files_below(tmp_path / "out") == []


def test_a_bomb_that_lies_about_its_size_is_stopped(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"bomb.jpg": bytes(4 << 20)}, zipfile.ZIP_DEFLATED)
    declared = (4 << 20).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(declared, (1000).to_bytes(4, "little")))
    with pytest.raises(PhotosError):
        unpack(archive, tmp_path / "out")
    assert sum(p.stat().st_size for p in (tmp_path / "out").rglob("*") if p.is_file()) <= 1000


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(files=1), "holds 2 files; at most 1"),
        (Limits(total_bytes=15), "would unpack to 20 bytes; at most 15"),
        (Limits(file_bytes=5), "is too large: 5 bytes"),
    ],
)
def test_limits_hold(tmp_path: Path, limits: Limits, message: str) -> None:
    archive = make_zip(tmp_path / "a.zip", {"1.jpg": bytes(10), "2.jpg": bytes(10)})
    with pytest.raises(PhotosError, match=message):
        unpack(archive, tmp_path / "out", limits)


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"1.jpg": bytes(1000)})
    archive.write_bytes(archive.read_bytes()[:500])
    with pytest.raises(PhotosError, match=r"a\.zip is no usable zip archive"):
        unpack(archive, tmp_path / "out")


def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"1.jpg": b"photo" * 100})
    archive.write_bytes(archive.read_bytes().replace(b"photophoto", b"phot0photo", 1))
    with pytest.raises(PhotosError, match="Bad CRC-32"):
        unpack(archive, tmp_path / "out")


def test_an_encrypted_archive_is_refused_with_what_to_do(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"1.jpg": b"x"})
    content = bytearray(archive.read_bytes())
    content[6] |= 1  # general purpose flag of the local header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and of the directory
    archive.write_bytes(bytes(content))
    with pytest.raises(PhotosError, match="without a password"):
        unpack(archive, tmp_path / "out")


def test_hidden_files_are_told_by_any_part_of_their_path() -> None:
    assert is_hidden(PurePosixPath("a/.git/b.jpg"))
    assert is_hidden(PurePosixPath("__MACOSX/b.jpg"))
    assert not is_hidden(PurePosixPath("a/b.jpg"))


class _Unflagged(zipfile.ZipInfo):
    """A member whose name's bytes are written as they are, without the flag that says UTF-8."""

    def __init__(self, name: bytes) -> None:
        super().__init__(name.decode("latin-1"))

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 (zipfile's own)
        return self.filename.encode("latin-1"), self.flag_bits & ~0x800


@pytest.mark.parametrize(("name", "encoding"), [("柴犬", "utf-8"), ("Épagneul", "utf-8"), ("Köter", "cp437")])
def test_names_are_read_as_macos_and_old_windows_archivers_write_them(tmp_path: Path, name: str, encoding: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(_Unflagged(f"{name}/1.jpg".encode(encoding)), b"x")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert files_below(tmp_path / "out") == [f"{name}/1.jpg"]


@pytest.mark.parametrize(
    "names",
    [("Pug/1.jpg", f"Pug/{'y' * 300}.jpg"), (f"{'y' * 300}/1.jpg",), ("Pug/q", "Pug/q/1.jpg"), ("Pug/1.jpg", "Pug")],
)
def test_a_name_that_cannot_be_written_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    archive = make_zip(tmp_path / "a.zip", dict.fromkeys(names, b"x"))
    with pytest.raises(PhotosError, match=r"a\.zip holds '(Pug|y+).*, which cannot be written here \(.+\): give it"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_data_is_refused_however_it_is_packed(tmp_path: Path, compression: int) -> None:
    archive = make_zip(tmp_path / "a.zip", {"1.jpg": random.Random(0).randbytes(1000) * 3}, compression)
    content = bytearray(archive.read_bytes())
    content[60:260] = bytes(200)
    archive.write_bytes(content)
    with pytest.raises(PhotosError, match=r"a\.zip (is no usable zip archive|cannot be unpacked)"):
        unpack(archive, tmp_path / "out")

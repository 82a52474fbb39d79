from pathlib import Path

import pytest

from console.errors import ConsoleError, UsageError
from console.prediction.explanations import Explanations
from console.prediction.failure import Cause, PhotoError
from contract.inference import Explanation

PICTURE = Explanation("Boxer", b"\xff\xd8\xff picture")


def test_one_photo_has_its_picture_in_the_file_that_was_named(tmp_path: Path) -> None:
    kept = Explanations.at(str(tmp_path / "new" / "looked.JPG"), ["a.jpg"]).keep("a.jpg", PICTURE)
    assert kept == tmp_path / "new" / "looked.JPG"
    assert kept.read_bytes() == PICTURE.data
    assert list(kept.parent.iterdir()) == [kept]


def test_several_photos_have_theirs_in_a_folder_each_under_its_own_name(tmp_path: Path) -> None:
    photos = ["1/dog.jpg", "2/dog.png", "https://example.org/dogs/my%20dog.webp?size=1", "-", "https://example.org"]
    places = Explanations.at(str(tmp_path / "looked"), photos)
    names = [places.keep(photo, PICTURE).name for photo in photos]
    assert names == [
        "dog.explained.jpg",
        "dog-2.explained.jpg",
        "my_dog.explained.jpg",
        "stdin.explained.jpg",
        "photo.explained.jpg",
    ]
    assert sorted(path.name for path in (tmp_path / "looked").iterdir()) == sorted(names)


@pytest.mark.parametrize(
    "photo", ["https://example.org/..%2F..%2Fetc%2Fpasswd", "https://example.org/%00", "/" + "a" * 250]
)
def test_no_address_chooses_where_its_picture_goes(tmp_path: Path, photo: str) -> None:
    kept = Explanations.at(f"{tmp_path}/", [photo]).keep(photo, PICTURE)
    assert kept.resolve().parent == tmp_path.resolve()


def test_a_folder_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    assert Explanations.at(f"{tmp_path}/looked.v2/", ["a.jpg"]).keep("a.jpg", PICTURE).parent.name == "looked.v2"
    assert Explanations.at(f"{tmp_path}/looked.v2", ["a.jpg"]).keep("a.jpg", PICTURE).parent.name == "looked.v2"


@pytest.mark.parametrize(
    ("name", "photos", "words"),
    [
        ("looked.jpg", ["a.jpg", "b.jpg"], "one file, for 2 photos"),
        ("looked.png", ["a.jpg"], "written as .jpg"),
        ("photo.jpg", ["a.jpg"], "exists already"),
    ],
)
def test_a_place_that_does_not_fit_is_refused(tmp_path: Path, name: str, photos: list[str], words: str) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"somebody's dog")
    with pytest.raises(UsageError, match=words):
        Explanations.at(str(tmp_path / name), photos)
    assert (tmp_path / "photo.jpg").read_bytes() == b"somebody's dog"


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConsoleError, match="file/looked"):
        Explanations.at(str(tmp_path / "file" / "looked"), ["a.jpg"])


def test_a_picture_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    places = Explanations.at(str(tmp_path / "looked"), ["a.jpg"])
    (tmp_path / "looked" / "a.explained.jpg").mkdir()
    with pytest.raises(PhotoError, match="cannot be written to") as caught:
        places.keep("a.jpg", PICTURE)
    assert caught.value.code == Cause.NOT_WRITTEN
    assert [path.name for path in (tmp_path / "looked").iterdir()] == ["a.explained.jpg"]

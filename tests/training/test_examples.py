import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from contract.classes import Classes
from training.duplicates import look_of
from training.errors import PhotosError
from training.examples import LONG_SIDE, MOST_BYTES, choose, save_examples, small_photo
from training.photo_set import open_photo_set
from training.prepare import prepare
from training.sources import Source

PhotoMaker = Callable[..., bytes]
SetMaker = Callable[..., Path]

ROOMY = (400, 300)
GPS_INFO, MAKE, ORIENTATION = 0x8825, 0x010F, 0x0112
COMPLETE: dict[str | None, dict[str, int]] = {
    "train": {"001.Pug": 4, "002.Boxer": 4},
    "valid": {"001.Pug": 1, "002.Boxer": 1},
    "test": {"001.Pug": 1, "002.Boxer": 1},
}


def look(angle: int) -> bytes:
    """Return the look of a photo that is lit from one side."""
    lit = Image.linear_gradient("L").rotate(angle)
    return look_of(Image.merge("RGB", [lit, lit, lit]))


def below(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_most_typical_photo_is_chosen() -> None:
    looks = {"a.jpg": look(90), "b.jpg": look(4), "c.jpg": look(0), "d.jpg": look(-4)}
    sizes = dict.fromkeys(looks, ROOMY)
    assert choose(list(looks), sizes, looks) == "c.jpg"


def test_the_order_in_which_photos_are_found_does_not_matter() -> None:
    looks = {f"{angle:03d}.jpg": look(angle) for angle in range(0, 180, 9)}
    sizes = dict.fromkeys(looks, ROOMY)
    chosen = choose(list(looks), sizes, looks)
    for seed in range(5):
        assert choose(random.Random(seed).sample(list(looks), len(looks)), sizes, looks) == chosen


@pytest.mark.parametrize("size", [(300, 200), (223, 223), (400, 220), (224, 400)])
def test_small_and_oblong_photos_are_passed_over(size: tuple[int, int]) -> None:
    sizes = {"a.jpg": size, "b.jpg": size, "c.jpg": (224, 224)}
    looks = {"a.jpg": look(0), "b.jpg": look(0), "c.jpg": look(90)}
    assert choose(list(looks), sizes, looks) == "c.jpg"


def test_of_small_photos_one_of_an_ordinary_shape_is_chosen() -> None:
    sizes = {"a.jpg": (200, 90), "b.jpg": (100, 100)}
    assert choose(list(sizes), sizes, dict.fromkeys(sizes, look(0))) == "b.jpg"


def test_of_oblong_photos_one_is_chosen_nevertheless() -> None:
    sizes = {"b.jpg": (900, 300), "a.jpg": (300, 900)}
    assert choose(list(sizes), sizes, dict.fromkeys(sizes, look(0))) == "a.jpg"


def test_a_photo_of_one_colour_is_chosen_only_where_there_is_no_other() -> None:
    looks = {"a.jpg": b"", "b.jpg": look(0)}
    sizes = dict.fromkeys(looks, ROOMY)
    assert choose(["a.jpg", "b.jpg"], sizes, looks) == "b.jpg"
    assert choose(["a.jpg"], sizes, looks) == "a.jpg"


def test_photos_that_are_equally_typical_are_chosen_by_name() -> None:
    looks = {"b.jpg": look(0), "a.jpg": look(0)}
    assert choose(list(looks), dict.fromkeys(looks, ROOMY), looks) == "a.jpg"


@pytest.mark.parametrize(
    ("size", "shown"), [((1200, 800), (320, 213)), ((800, 1200), (213, 320)), ((90, 60), (90, 60))]
)
def test_an_example_is_small_and_never_enlarged(
    photo: PhotoMaker, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    with Image.open(io.BytesIO(small_photo(photo(size=size)))) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", shown)


def test_an_example_of_noise_is_no_larger_than_others() -> None:
    noise = Image.merge("RGB", [Image.effect_noise((512, 512), 120) for _ in "RGB"])
    buffer = io.BytesIO()
    noise.save(buffer, "JPEG", quality=95)
    assert len(small_photo(buffer.getvalue())) <= MOST_BYTES


def test_an_example_is_upright() -> None:
    sideways = Image.new("RGB", (60, 40), "blue")
    sideways.paste("red", (0, 0, 20, 40))  # left as stored; turned upright (6: by 90 degrees to the right), on top
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    buffer = io.BytesIO()
    sideways.save(buffer, "JPEG", exif=exif)
    with Image.open(io.BytesIO(small_photo(buffer.getvalue()))) as image:
        assert image.size == (40, 60)
        red, _, blue = image.getpixel((20, 5))  # type: ignore[misc]  # three values of an RGB photo
        assert red > 200 > blue


def test_an_example_says_nothing_but_its_pixels() -> None:
    exif = Image.Exif()
    exif[MAKE] = "a camera that tells"
    exif.get_ifd(GPS_INFO)[1] = "N"
    buffer = io.BytesIO()
    options = {"exif": exif, "comment": b"at home", "icc_profile": b"a profile", "dpi": (300, 300)}
    Image.linear_gradient("L").convert("RGB").save(buffer, "JPEG", **options)
    assert all(word in buffer.getvalue() for word in (b"Exif", b"a camera", b"at home", b"a profile"))
    made = small_photo(buffer.getvalue())
    assert not any(word in made for word in (b"Exif", b"a camera", b"at home", b"a profile"))
    with Image.open(io.BytesIO(made)) as image:
        assert image.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_prepare_leaves_an_example_of_every_class_in_the_order_of_the_outputs(
    make_set: SetMaker, tmp_path: Path
) -> None:
    prepare(Source(str(make_set(COMPLETE))), tmp_path / "out", 0)
    left = tmp_path / "out" / "examples"
    assert sorted(below(left)) == ["0.jpg", "1.jpg", "classes.json"]
    assert Classes.load(left / "classes.json") == open_photo_set(tmp_path / "out").classes
    for output, folder in enumerate(Classes.load(left / "classes.json").folders):
        trained = {small_photo(path.read_bytes()) for path in (tmp_path / "out" / "train" / folder).iterdir()}
        assert (left / f"{output}.jpg").read_bytes() in trained


def test_the_same_set_has_the_same_examples_as_files_and_in_shards(make_set: SetMaker, tmp_path: Path) -> None:
    source = Source(str(make_set(COMPLETE)))
    prepare(source, tmp_path / "files", 0)
    prepare(source, tmp_path / "again", 0)
    prepare(source, tmp_path / "shards", 0, shard_photos=3)
    examples = below(tmp_path / "files" / "examples")
    assert examples == below(tmp_path / "again" / "examples")
    assert examples == below(tmp_path / "shards" / "examples")


def test_examples_are_replaced_with_the_set(make_set: SetMaker, tmp_path: Path) -> None:
    prepare(Source(str(make_set({None: {"A": 3, "B": 3, "C": 3}}, root="three"))), tmp_path / "out", 0)
    prepare(Source(str(make_set(COMPLETE))), tmp_path / "out", 0)
    assert sorted(below(tmp_path / "out" / "examples")) == ["0.jpg", "1.jpg", "classes.json"]


def test_where_examples_cannot_be_made_the_set_that_was_there_stays(
    make_set: SetMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = Source(str(make_set(COMPLETE))), tmp_path / "out"
    prepare(source, target, 0)
    before = below(target / "examples")

    def full(data: bytes) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.examples.small_photo", full)
    with pytest.raises(OSError, match="No space left"):
        prepare(source, target, 1)
    assert below(target / "examples") == before
    assert json.loads((target / "manifest.json").read_text(encoding="utf-8"))["seed"] == 0


def test_examples_of_the_user_in_the_model_dir_are_never_replaced(make_set: SetMaker, tmp_path: Path) -> None:
    (tmp_path / "out" / "examples").mkdir(parents=True)
    with pytest.raises(PhotosError, match="holds photos that this job did not put there"):
        prepare(Source(str(make_set(COMPLETE))), tmp_path / "out", 0)


def test_a_prepared_set_can_be_prepared_again(make_set: SetMaker, tmp_path: Path) -> None:
    first = prepare(Source(str(make_set(COMPLETE))), tmp_path / "first", 0)
    second = prepare(Source(str(tmp_path / "first")), tmp_path / "second", 0)
    assert (second.fingerprint, second.counts) == (first.fingerprint, first.counts)
    assert below(tmp_path / "second" / "examples") == below(tmp_path / "first" / "examples")


def test_examples_of_real_photos_are_of_the_promised_size(dogs: Path, tmp_path: Path) -> None:
    folders = sorted(path.name for path in (dogs / "train").iterdir())
    photos = [path for folder in folders for path in sorted((dogs / "train" / folder).iterdir())[:6]]
    sizes, looks = {}, {}
    for path in photos:
        with Image.open(path) as image:
            place = path.relative_to(dogs).as_posix()
            sizes[place], looks[place] = image.size, look_of(image)
    save_examples(tmp_path / "examples", dogs, folders, sizes, looks)
    made = [tmp_path / "examples" / f"{output}.jpg" for output in range(len(folders))]
    for path in made:
        assert 4_000 < path.stat().st_size <= MOST_BYTES
        with Image.open(path) as image:
            assert 200 < max(image.size) <= LONG_SIDE

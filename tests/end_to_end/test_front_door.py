"""The front door of a running stage: every way to send a photo, what it says of itself, and its page in a browser."""

import base64
import contextlib
import io
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from contract.front_door import Upload
from contract.inference import MAX_PHOTO_BYTES
from contract.names import ApiPath
from infra.front_door.document import api_document
from tests.end_to_end.checkout import TEST_SECONDS, Up, copy_checkout
from tests.end_to_end.local_stage import add_stage, running_stage
from tests.infra.front_door.page.page_driver import PageDriver, need_browser

pytestmark = pytest.mark.timeout(TEST_SECONDS)


@pytest.fixture
def photo(photos: Path) -> Path:
    return sorted((photos / "test").rglob("*.jpg"))[0]


@pytest.fixture
def labels(up: Up, photo: Path) -> list[str]:
    """Return what the model says of the photo, most probable first."""
    return [one["label"] for one in up.post(photo.read_bytes()).json()["predictions"]]


def test_a_form_and_json_get_the_same_answer_as_the_photo_alone(up: Up, photo: Path) -> None:
    content = photo.read_bytes()
    alone = up.post(content).json()
    form = up.ask("POST", ApiPath.PREDICT, files={"photo": ("dog.jpg", content, "image/jpeg")})
    coded = base64.b64encode(content).decode()
    several = up.ask("POST", ApiPath.PREDICT, json={"photos": [coded, "AAAA"]})
    assert form.json() == alone
    assert up.ask("POST", ApiPath.PREDICT, json={"photo": coded}).json() == alone
    first, second = several.json()["answers"]
    assert first == alone
    assert second["error"]["code"] == "BadImage"


def test_options_say_how_many_labels_and_whether_to_explain(up: Up, photo: Path) -> None:
    answer = up.ask("POST", f"{ApiPath.PREDICT}?top=1&explain=true", files={"photo": photo.read_bytes()}).json()
    assert len(answer["predictions"]) == 1
    with Image.open(io.BytesIO(base64.b64decode(answer["explanation"]["data"]))) as picture:
        assert picture.format == "JPEG"


def test_a_photo_too_large_for_a_request_is_uploaded_and_predicted(up: Up, photo: Path, labels: list[str]) -> None:
    # Bytes behind the end of a JPEG are no part of its picture.
    content = photo.read_bytes() + bytes(MAX_PHOTO_BYTES + 1_000_000)
    assert up.post(content).status_code == 413
    announced = {"bytes": len(content), "content_type": "image/jpeg"}
    place = Upload.read(up.ask("POST", ApiPath.UPLOADS, json=announced).json())
    trust = ssl.create_default_context(cafile=up.variables.get("AWS_CA_BUNDLE"))

    def put(data: bytes) -> int:
        return httpx.put(place.url, content=data, headers=place.headers, verify=trust, timeout=60).status_code

    assert put(content + b"more") == 403  # not what was signed for
    assert put(content) == 200
    answer = up.ask("POST", ApiPath.PREDICT, json={"upload": place.upload}).json()
    assert [one["label"] for one in answer["predictions"]] == labels


def test_health_names_the_model_s_version_and_accuracy(up: Up) -> None:
    body = up.ask("GET", ApiPath.HEALTH).json()
    assert (body["ready"], body["endpoint"]) == (True, "InService")
    assert body["model"]["version"] >= 1
    assert 0 <= body["model"]["accuracy"] <= 1


def test_breeds_are_what_the_model_answers_each_with_a_small_photo(up: Up, labels: list[str]) -> None:
    breeds = up.ask("GET", ApiPath.BREEDS).json()["breeds"]
    assert {breed["label"] for breed in breeds} == set(labels)
    for breed in breeds:
        answer = up.ask("GET", breed["example"])
        assert answer.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(answer.content)) as example:
            assert max(example.size) <= 320


@pytest.mark.parametrize("path", [ApiPath.PAGE, ApiPath.DOCS, ApiPath.DOCUMENT])
def test_pages_and_document_are_open_to_everybody(up: Up, path: str) -> None:
    assert up.request("GET", path).status_code == 200


def test_the_document_that_is_served_is_the_one_that_was_deployed(up: Up) -> None:
    assert up.request("GET", ApiPath.DOCUMENT).json() == api_document()


@contextlib.contextmanager
def opened(address: str, key: str) -> Iterator[PageDriver]:
    """Open the page, and see that it asks nobody but its API and breaks none of its own rules."""
    need_browser()
    with PageDriver(address, key) as page:
        yield page
        assert [said for said in page.complaints if not said.startswith("Failed to load resource")] == []
        assert page.elsewhere == []


@pytest.fixture
def page(up: Up) -> Iterator[PageDriver]:
    with opened(up.variables["PEDIGREE_API_URL"], up.key) as page:
        yield page


def test_a_photo_dropped_on_the_page_gets_its_breed_with_examples_and_what_the_model_looked_at(
    page: PageDriver, photo: Path, labels: list[str]
) -> None:
    page.drop(photo)
    shown = page.answer()
    assert [label for label, _ in shown.rows] == labels
    page.settle(len(labels))
    page.explain()


def test_a_turned_photo_of_twelve_megapixels_is_looked_at_upright(
    page: PageDriver, photo: Path, labels: list[str], tmp_path: Path
) -> None:
    with Image.open(photo) as image:
        large = image.resize((4000, 3000)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter to be upright
    large.save(tmp_path / "phone.jpg", exif=exif, quality=90)
    page.drop(tmp_path / "phone.jpg")
    assert {label for label, _ in page.answer().rows} == set(labels)
    width, height = page.photo_size()
    assert width > height


def test_a_text_file_is_told_to_be_no_photo(page: PageDriver, tmp_path: Path) -> None:
    shutil.copy(__file__, tmp_path / "notes.txt")
    page.drop(tmp_path / "notes.txt")
    assert "no photo" in page.message()


@pytest.mark.laptop_only("its machine has the decoder for HEIC, that of an endpoint on AWS has not")
def test_a_heic_photo_that_the_browser_cannot_open_is_left_to_the_model(
    page: PageDriver, photo: Path, labels: list[str], tmp_path: Path
) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    with Image.open(photo) as image:
        pillow_heif.from_pillow(image.convert("RGB")).save(tmp_path / "phone.heic")
    page.drop(tmp_path / "phone.heic")
    assert {label for label, _ in page.answer().rows} == set(labels)


def test_a_wrong_key_is_told_of(up: Up, photo: Path) -> None:
    with opened(up.variables["PEDIGREE_API_URL"], "no-such-key") as page:
        page.drop(photo)
        assert "not accepted" in page.message()


@pytest.mark.slow
@pytest.mark.laptop_only("starts a local cloud of its own")
def test_where_no_endpoint_is_the_page_says_that_no_model_is_available(
    photo: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    checkout = copy_checkout(tmp_path_factory.mktemp("empty") / "pedigree")
    add_stage(checkout, "empty")
    with running_stage(checkout, "empty") as stage:
        health = stage.api("GET", ApiPath.HEALTH).json()
        assert health == {"ready": False, "endpoint": "Absent", "model": None}
        with opened(stage.variables["PEDIGREE_API_URL"], stage.variables["PEDIGREE_API_KEY"]) as page:
            page.drop(photo)
            assert "not available" in page.message()

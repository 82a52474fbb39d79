"""What the page says when there is no answer, in a real browser."""

import io
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image

from contract.front_door import API_KEY_HEADER
from contract.inference import ErrorCode, InferenceError
from tests.infra.front_door.page.fake_api import KEY, Asked, FakeApi
from tests.infra.front_door.page.page_driver import OpenPage
from tests.infra.front_door.page.photos import opened

Save = Callable[..., Path]
DROP_TEXT = """() => {
  const text = new DataTransfer();
  text.setData("text/plain", "https://example.com/a.jpg");
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: text, bubbles: true }));
}"""
FORBID_CAMERA = "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no')); }"


@pytest.fixture
def dog(drawn_dogs: Mapping[str, bytes], save: Save) -> Path:
    return save("dog.jpg", opened(next(iter(drawn_dogs.values()))))


@pytest.fixture
def heic(drawn_dogs: Mapping[str, bytes], tmp_path: Path) -> Path:
    """Return a photo that Chromium cannot open."""
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    opened(next(iter(drawn_dogs.values()))).save(buffer, "HEIF")
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(buffer.getvalue())
    return path


def test_without_a_key_it_asks_for_one_and_keeps_the_photo(open_page: OpenPage, api: FakeApi, dog: Path) -> None:
    page = open_page(key="")
    page.drop(dog)
    assert page.message() == "Your photo is ready. Enter your key and it is looked at."
    assert page.page.evaluate("document.activeElement.id") == "key"
    assert [asked.path for asked in api.asked] == ["/v1"]  # the page, and nothing since
    page.enter_key(KEY)
    assert page.answer().rows


def test_a_wrong_key_is_said_to_be_wrong_before_any_photo(open_page: OpenPage, dog: Path) -> None:
    page = open_page(key="another-key-0123456789")
    assert page.message().startswith("This key is not accepted.")
    page.enter_key(KEY)
    page.settle(6)
    page.drop(dog)
    assert page.answer().rows


def test_a_key_that_is_withdrawn_later_is_asked_for_again(open_page: OpenPage, api: FakeApi, dog: Path) -> None:
    page = open_page()
    page.settle(6)
    api.refusals = [InferenceError(ErrorCode.FORBIDDEN, "send a valid API key")]
    page.drop(dog)
    assert page.message().startswith("This key is not accepted.")


def test_a_key_that_no_header_can_hold_is_not_sent(open_page: OpenPage, api: FakeApi) -> None:
    page = open_page(key="")
    page.enter_key("schlüssel mit leerzeichen")
    assert page.message() == "A key has letters, digits and signs only, without spaces."
    assert not any(API_KEY_HEADER in asked.headers for asked in api.asked)


@pytest.mark.parametrize("name", ["notes.txt", "holiday.jpg"])
def test_a_text_never_leaves_the_browser(open_page: OpenPage, api: FakeApi, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text("Dear diary, " * 100, encoding="utf-8")
    page = open_page()
    page.drop(file)
    assert page.message() == (
        "This is no photo. Choose a JPEG, PNG, WebP or HEIC file. This one was not sent anywhere."
    )
    assert api.predictions() == []
    assert not page.page.locator("#photo").is_visible()


def test_an_empty_file_is_said_to_be_empty(open_page: OpenPage, api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "empty.jpg"
    file.write_bytes(b"")
    page = open_page()
    page.drop(file)
    assert page.message().startswith("This file is empty.")
    assert api.predictions() == []


def test_what_is_dropped_but_no_file_is_told(open_page: OpenPage) -> None:
    page = open_page()
    page.settle(6)
    page.page.evaluate(DROP_TEXT)
    assert page.message().startswith("That was no file.")


def test_a_camera_that_may_not_be_used_is_told(open_page: OpenPage) -> None:
    page = open_page()
    page.settle(6)
    page.page.evaluate(FORBID_CAMERA)
    page.page.get_by_role("button", name="Take a photo").click()
    assert page.message().startswith("The camera cannot be used.")


def test_what_brings_no_photo_leaves_the_answer_that_is_there(open_page: OpenPage, dog: Path) -> None:
    page = open_page()
    page.drop(dog)
    answer = page.answer()
    page.page.evaluate(DROP_TEXT)
    page.page.locator("#caption", has_text="That was no file.").wait_for()
    page.page.evaluate(FORBID_CAMERA)
    page.page.get_by_role("button", name="Take a photo").click()
    page.page.locator("#caption", has_text="The camera cannot be used.").wait_for()
    assert page.page.locator("#answer").is_visible()
    assert page.answer() == answer


def test_heic_that_the_browser_cannot_open_goes_to_the_model_as_it_is(
    open_page: OpenPage, api: FakeApi, heic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.infra.front_door.page.fake_api.CONTENT_TYPES", ("image/heic",))
    page = open_page()
    page.drop(heic)
    assert page.answer().rows
    [sent] = api.predictions()
    assert sent.headers["content-type"] == "image/heic"
    assert sent.body == heic.read_bytes()
    assert page.page.locator("#explanation").is_visible()  # the one picture of it that there is


def test_heic_that_the_model_cannot_read_either_is_said_to_be_so(open_page: OpenPage, heic: Path) -> None:
    page = open_page()
    page.drop(heic)
    assert page.message().startswith("HEIC photos cannot be read here. ")
    assert "Save the photo as a JPEG" in page.message()


def test_heic_that_is_too_large_to_go_as_it_is_stays_here(open_page: OpenPage, api: FakeApi, heic: Path) -> None:
    heic.write_bytes(heic.read_bytes() + bytes(4_400_000))
    page = open_page()
    page.drop(heic)
    assert page.message().startswith("This HEIC photo is too large.")
    assert api.predictions() == []


@pytest.mark.parametrize(
    ("code", "title"),
    [
        (ErrorCode.BAD_IMAGE, "The model cannot read this photo"),
        (ErrorCode.TOO_LARGE, "This photo is too large"),
        (ErrorCode.INTERNAL, "Something went wrong"),
    ],
)
def test_what_the_api_refuses_is_told_with_its_own_words_and_the_request_s_id(
    open_page: OpenPage, api: FakeApi, dog: Path, code: ErrorCode, title: str
) -> None:
    api.refusals = [InferenceError(code, "the API's own words")]
    page = open_page()
    page.drop(dog)
    assert page.message().startswith(f"{title}.")
    assert page.page.locator("#trouble-detail").inner_text() == "The API says: the API's own words (request r-1)."


def test_too_many_requests_are_told_with_the_time_to_wait(open_page: OpenPage, api: FakeApi, dog: Path) -> None:
    api.refusals = [InferenceError(ErrorCode.TOO_MANY_REQUESTS, "slow down", retry_after=30)]
    page = open_page()
    page.page.clock.install()
    page.drop(dog)
    assert page.message() == (
        "Too many photos at once. This key has asked more than it may for the moment. Your photo is kept. "
        "Try again in 30 seconds."
    )
    again = page.page.locator("#again")
    assert again.is_disabled()
    assert again.inner_text().startswith("Try again in ")
    page.page.clock.fast_forward(30_000)
    page.page.get_by_role("button", name="Try again", exact=True, disabled=False).click()
    assert page.answer().rows
    assert len(api.predictions()) == 2


def test_a_model_that_is_down_is_told_and_the_photo_kept(open_page: OpenPage, api: FakeApi, dog: Path) -> None:
    api.refusals = [InferenceError(ErrorCode.UNAVAILABLE, "the model is not available", retry_after=90)]
    page = open_page()
    page.drop(dog)
    assert page.message() == (
        "The model is not available right now. It may be starting or being replaced by a newer one. "
        "Your photo is kept. Try again in 2 minutes."
    )
    assert page.page.locator("#photo").is_visible()
    assert page.page.evaluate("document.activeElement.id") == "trouble-title"


def test_a_proxy_s_answer_that_is_no_json_is_told_by_its_status(
    open_page: OpenPage, api: FakeApi, dog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page()
    page.settle(6)
    monkeypatch.setattr(api, "respond", lambda asked: (502, {"Content-Type": "text/html"}, b"<h1>Bad gateway</h1>"))
    page.drop(dog)
    assert page.message().startswith("The model is not available right now.")


def test_an_answer_that_is_none_is_told(
    open_page: OpenPage, api: FakeApi, dog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page()
    page.settle(6)
    monkeypatch.setattr(api, "respond", lambda asked: (200, {"Content-Type": "text/html"}, b"<h1>Welcome</h1>"))
    page.drop(dog)
    assert page.message().startswith("Something went wrong.")


def test_an_api_that_is_not_reached_is_told_and_asked_again_on_request(
    open_page: OpenPage, api: FakeApi, dog: Path
) -> None:
    page = open_page()
    page.settle(6)
    api.stop()
    page.drop(dog)
    assert page.message().startswith("The API cannot be reached.")
    assert page.page.locator("#again").is_enabled()


def test_a_device_that_is_offline_is_told(open_page: OpenPage, dog: Path) -> None:
    page = open_page()
    page.settle(6)
    page.context.set_offline(True)
    page.drop(dog)
    assert page.message().startswith("You are offline.")
    page.context.set_offline(False)
    page.page.locator("#again").click()
    assert page.answer().rows


def test_an_explanation_that_fails_leaves_the_answer(open_page: OpenPage, api: FakeApi, dog: Path) -> None:
    page = open_page()
    page.drop(dog)
    page.answer()
    api.refusals = [InferenceError(ErrorCode.UNAVAILABLE, "the model is not available")]
    page.page.get_by_text("What the model looked at", exact=True).click()
    page.page.locator("#caption").wait_for()
    assert page.page.locator("#caption").inner_text() == (
        "The model is not available right now. What the model looked at cannot be shown now."
    )
    assert page.answer().rows
    assert page.page.locator("#photo").is_visible()


def test_a_photo_that_takes_long_to_open_gives_way_to_a_newer_one(
    open_page: OpenPage, drawn_dogs: Mapping[str, bytes], save: Save
) -> None:
    first, second = list(drawn_dogs)[:2]
    page = open_page()
    page.page.evaluate(
        "() => { const real = createImageBitmap; let slow = new Promise((done) => { window.goOn = done; });"
        " window.createImageBitmap = async (...given) => { const wait = slow; slow = null; await wait;"
        " window.read = (window.read ?? 0) + 1; return real(...given); };"
        " window.isSlow = () => slow === null; }"
    )
    page.drop(save("first.png", opened(drawn_dogs[first])))
    page.page.wait_for_function("() => isSlow()")  # or the second one might be the first to be opened
    page.drop(save("second.png", opened(drawn_dogs[second])))
    assert page.answer().breed == second
    page.page.evaluate("goOn()")
    page.page.wait_for_function("() => window.read === 2")
    page.page.wait_for_timeout(300)
    assert page.answer().breed == second


def test_an_answer_that_never_comes_is_waited_for_no_longer_than_the_gateway_waits(
    open_page: OpenPage, api: FakeApi, dog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page()
    page.settle(6)
    go_on, respond = threading.Event(), api.respond

    def never(request: Asked) -> tuple[int, dict[str, str], bytes]:
        go_on.wait(60)
        return respond(request)

    monkeypatch.setattr(api, "respond", never)
    page.page.clock.install()
    page.drop(dog)
    page.page.locator("#waiting").wait_for()
    page.page.wait_for_function("() => document.querySelector('#stage').classList.contains('asking')")
    page.page.clock.fast_forward(41_000)
    assert page.message().startswith("The model takes too long.")
    go_on.set()


def test_an_answer_that_comes_late_gives_way_to_a_newer_one(
    open_page: OpenPage, api: FakeApi, drawn_dogs: Mapping[str, bytes], save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = list(drawn_dogs)[:2]
    page = open_page()
    page.settle(6)
    go_on, asked, respond = threading.Event(), threading.Event(), api.respond

    def late(request: Asked) -> tuple[int, dict[str, str], bytes]:
        if "/predict" in request.path and not asked.is_set():
            asked.set()
            go_on.wait(20)
        return respond(request)

    monkeypatch.setattr(api, "respond", late)
    page.drop(save("first.png", opened(drawn_dogs[first])))
    assert asked.wait(20)
    page.drop(save("second.png", opened(drawn_dogs[second])))
    assert page.answer().breed == second
    go_on.set()
    page.page.wait_for_timeout(300)
    assert page.answer().breed == second


def test_a_broken_photo_after_a_good_one_takes_its_place(open_page: OpenPage, dog: Path, tmp_path: Path) -> None:
    page = open_page()
    page.drop(dog)
    page.answer()
    broken = tmp_path / "broken.png"
    Image.new("RGB", (64, 64)).save(broken)
    broken.write_bytes(broken.read_bytes()[:40])
    page.drop(broken)
    assert page.message().startswith("This is no photo.")
    assert not page.page.locator("#photo").is_visible()

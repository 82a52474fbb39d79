"""A photo on its way into the page and to the API, and the answer on the page, in a real browser."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from contract.front_door import API_KEY_HEADER, Health
from contract.inference import MAX_PHOTO_BYTES, Answer, Prediction
from infra.front_door.page import load_page
from tests.infra.front_door.page.fake_api import KEY, FakeApi
from tests.infra.front_door.page.page_driver import OpenPage, PageDriver
from tests.infra.front_door.page.photos import PHONE, opened, turned

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Save = Callable[..., Path]
SURE = Answer([Prediction("Boxer", 0.972), Prediction("Pug", 0.02), Prediction("Beagle", 0.004)], confident=True)


@pytest.fixture
def label(drawn_dogs: Mapping[str, bytes]) -> str:
    return list(drawn_dogs)[2]


@pytest.fixture
def dog(drawn_dogs: Mapping[str, bytes], label: str, save: Save) -> Path:
    """Return a photo of a dog of that breed."""
    return save("dog.jpg", opened(drawn_dogs[label]), quality=95)


@pytest.fixture(scope="module")
def start(browser: "Browser", drawn_dogs: Mapping[str, bytes]) -> Iterator[PageDriver]:
    """Return the page as it is at first, to ask it for its words."""
    with FakeApi(load_page(), drawn_dogs) as api, PageDriver(api.url, KEY, browser=browser) as page:
        yield page


def test_a_photo_that_is_dropped_gets_its_breed(open_page: OpenPage, dog: Path, label: str) -> None:
    page = open_page()
    page.drop(dog)
    shown = page.answer()
    assert shown.breed == label == shown.rows[0][0]
    assert len(shown.rows) == 5
    assert page.photo_size() == opened(dog.read_bytes()).size


def test_bars_are_as_long_as_the_answer_is_probable(open_page: OpenPage, api: FakeApi, dog: Path) -> None:
    api.answer = SURE
    page = open_page()
    page.drop(dog)
    shown = page.answer()
    assert shown.rows == (("Boxer", "97%"), ("Pug", "2%"), ("Beagle", "< 1%"))
    assert shown.widths == pytest.approx((0.972, 0.02, 0.004))
    whole, fill = (page.page.locator(f"#breeds li:first-child {one}").bounding_box() for one in (".bar", ".fill"))
    assert whole is not None
    assert fill is not None
    page.page.wait_for_function("() => document.getAnimations().length === 0")
    fill = page.page.locator("#breeds li:first-child .fill").bounding_box()
    assert fill is not None
    assert fill["width"] / whole["width"] == pytest.approx(0.972, abs=0.01)


@pytest.mark.parametrize(
    ("probability", "short", "long"),
    [
        (0.999, "Almost certain", "more than 99 are right"),
        (0.92, "Very likely", "about 92 are right"),
        (0.7, "Likely", "about 70 are right"),
        (0.4, "Perhaps", "about 40 are right"),
        (0.2, "Hard to tell", "about 20 are right"),
    ],
)
def test_words_go_with_the_probability(start: PageDriver, probability: float, short: str, long: str) -> None:
    said = start.page.evaluate("sureness", Answer([Prediction("Pug", probability)], True).body())
    assert said["short"] == short
    assert long in said["long"]


def test_an_answer_that_may_be_of_nothing_known_says_so(open_page: OpenPage, api: FakeApi, dog: Path) -> None:
    api.answer = Answer([Prediction("Pug", 0.8)], confident=False)
    page = open_page()
    page.drop(dog)
    shown = page.answer()
    assert shown.sureness == "Not sure"
    assert shown.words.startswith("This may be nothing that the model knows.")


def test_a_photo_can_be_pasted(open_page: OpenPage, dog: Path, label: str) -> None:
    page = open_page()
    page.paste(dog)
    assert page.answer().breed == label


def test_a_photo_can_be_chosen_and_then_another(
    open_page: OpenPage, dog: Path, label: str, drawn_dogs: Mapping[str, bytes], save: Save
) -> None:
    page = open_page()
    page.choose(dog)
    assert page.answer().breed == label
    other = list(drawn_dogs)[5]
    page.choose(save("other.png", opened(drawn_dogs[other])))
    assert page.answer().breed == other


def test_the_keyboard_alone_is_enough(open_page: OpenPage, dog: Path, label: str) -> None:
    page = open_page(key="")
    keys = page.page.keyboard
    for _ in range(10):
        keys.press("Tab")
        if page.page.evaluate("document.activeElement.id") == "key":
            break
    keys.type(KEY)
    keys.press("Enter")
    assert page.page.evaluate("document.activeElement.id") == "choose"
    page.have_ready(dog)
    keys.press("Enter")
    assert page.answer().breed == label
    assert page.page.evaluate("document.activeElement.id") == "verdict"
    for _ in range(10):
        keys.press("Shift+Tab")
        if page.page.evaluate("document.activeElement.type") == "radio":
            break
    keys.press("ArrowRight")
    page.page.locator("#explanation").wait_for()


def test_a_photo_of_a_phone_held_upright_is_turned(
    open_page: OpenPage, api: FakeApi, drawn_dogs: Mapping[str, bytes], label: str, save: Save
) -> None:
    upright = opened(drawn_dogs[label]).resize((900, 1200))
    lying, exif = turned(upright)
    page = open_page()
    page.drop(save("phone.jpg", lying, exif=exif, quality=95))
    assert page.answer().breed == label
    width, height = page.photo_size()
    assert (width, height) == (768, 1024)
    sent = api.predictions()[0].image()
    assert sent.size == (768, 1024)
    assert dict(sent.getexif()) == {}  # nor anything else that a phone writes into its photos


def test_twelve_megapixels_go_up_small(
    open_page: OpenPage, api: FakeApi, drawn_dogs: Mapping[str, bytes], label: str, save: Save
) -> None:
    photo = save("large.jpg", opened(drawn_dogs[label]).resize(PHONE), quality=95)
    page = open_page()
    page.choose(photo)
    assert page.answer().breed == label
    sent = api.predictions()[0]
    assert sent.image().size == (1024, 768)
    assert len(sent.body) < MAX_PHOTO_BYTES / 10


def test_the_side_that_the_model_looks_at_stays_large_enough(open_page: OpenPage, api: FakeApi, save: Save) -> None:
    page = open_page()
    page.drop(save("panorama.png", Image.new("RGB", (4000, 640), "green")))
    page.answer()
    assert api.predictions()[0].image().size == (2000, 320)


def test_what_is_transparent_is_put_on_white(open_page: OpenPage, api: FakeApi, save: Save) -> None:
    page = open_page()
    page.drop(save("cut.png", Image.new("RGBA", (64, 64), (0, 0, 0, 0))))
    page.answer()
    assert api.predictions()[0].image().getpixel((32, 32)) == (255, 255, 255)


def test_a_photo_can_be_taken(open_page: OpenPage, api: FakeApi) -> None:
    page = open_page()
    page.page.get_by_role("button", name="Take a photo").click()
    page.page.locator("#shoot:enabled").wait_for()
    page.page.evaluate("() => { window.stream = document.querySelector('#video').srcObject; }")
    page.page.get_by_role("button", name="Take the photo").click()
    page.answer()
    red, green, blue = np.asarray(api.predictions()[0].image()).mean(axis=(0, 1))
    assert green > 1.5 * max(red, blue)  # Chromium's test pattern
    assert page.page.evaluate("stream.getTracks().map((one) => one.readyState)") == ["ended"]  # the camera is off


def test_the_photo_and_what_the_model_looked_at_take_turns(open_page: OpenPage, api: FakeApi, dog: Path) -> None:
    page = open_page()
    page.drop(dog)
    page.answer()
    assert "explain" not in api.predictions()[0].path
    page.explain()
    assert not page.page.locator("#photo").is_visible()
    assert page.page.locator("#explanation").evaluate("one => one.decode().then(() => one.naturalWidth)") == 224
    page.page.get_by_text("Photo", exact=True).click()
    assert page.page.locator("#photo").is_visible()
    assert not page.page.locator("#explanation").is_visible()
    page.explain()
    assert len(api.predictions()) == 2  # asked for once


def test_each_breed_has_an_example_beside_it(open_page: OpenPage, api: FakeApi, dog: Path) -> None:
    page = open_page()
    page.drop(dog)
    rows = page.answer().rows
    page.settle(5)
    alts = page.page.locator("#breeds img").evaluate_all("all => all.map(one => one.alt)")
    assert alts == [f"Example of {label}" for label, _ in rows]
    photos = [asked for asked in api.asked if asked.path.endswith("/photo")]
    assert all(asked.headers[API_KEY_HEADER] == KEY for asked in photos)
    assert len(photos) == len({asked.path for asked in photos})  # each once, however often it is shown


def test_a_breed_without_an_example_is_shown_all_the_same(open_page: OpenPage, api: FakeApi, dog: Path) -> None:
    api.examples = {}
    page = open_page()
    page.drop(dog)
    assert len(page.answer().rows) == 5
    assert page.page.locator("#breeds .example svg").count() == 5


def test_an_example_that_was_refused_is_asked_for_again(
    open_page: OpenPage, api: FakeApi, dog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    respond = api.respond
    with monkeypatch.context() as busy:
        busy.setattr(api, "respond", lambda asked: (429, {}, b"") if "/photo" in asked.path else respond(asked))
        page = open_page()
        page.drop(dog)
        page.answer()
        # Until whatever example the page has asked for is refused.
        page.page.evaluate(
            "async () => { await Promise.allSettled([...(await state.breeds).values()].map((one) => one.photo)); }"
        )
    assert page.page.locator("#breeds img:visible").count() == 0
    page.drop(dog)
    page.answer()
    page.settle(5)


def test_before_the_first_photo_it_shows_what_it_knows(open_page: OpenPage) -> None:
    page = open_page()
    page.settle(6)
    assert page.page.locator("#known-title").inner_text() == "It knows 8 names"
    page.page.locator("#all summary").click()
    assert page.page.locator("#names li").count() == 8


@pytest.mark.parametrize(
    ("health", "text"),
    [
        (Health(True, "InService", 3, 0.975), "Model version 3 names 97.5% of its test photos right."),
        (Health(True, "InService", 3), "Model version 3 is ready."),
        (Health(True, "InService"), "The model is ready."),
        (Health(False, "Updating", 3, 0.975), "The model is not available right now (Updating)."),
    ],
)
def test_it_says_which_model_answers_and_how_good_it_is(start: PageDriver, health: Health, text: str) -> None:
    start.page.locator("#health").wait_for()
    start.page.evaluate("health => showHealth(health)", health.body())
    assert start.page.locator("#health").inner_text() == text


def test_html_in_a_label_is_text(open_page: OpenPage, api: FakeApi, dog: Path) -> None:
    label = "<img src=x onerror=alert(1)><b>Boxer</b>"
    api.known = {label: dog.read_bytes()}
    api.examples = api.known
    page = open_page()
    page.settle(1)
    assert page.page.locator("#gallery .name").inner_text() == label
    page.drop(dog)
    assert page.answer().breed == label
    assert page.page.locator("#answer b, #known b").count() == 0


@pytest.mark.parametrize("end", ["", "/", "?from=mail", "/?from=mail"])
def test_the_api_is_found_however_the_address_ends(open_page: OpenPage, api: FakeApi, dog: Path, end: str) -> None:
    page = open_page(url=api.url + end)
    page.drop(dog)
    page.answer()
    assert page.page.locator("#docs").get_attribute("href") == f"{api.url}/docs"


def test_the_key_leaves_the_address_at_once_and_stays_in_the_tab_alone(
    open_page: OpenPage, api: FakeApi, dog: Path, label: str
) -> None:
    page = open_page()
    assert page.page.evaluate("location.href") == api.url
    assert page.page.evaluate("Object.values(sessionStorage)") == [KEY]
    assert page.page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    page.page.reload()
    page.drop(dog)
    assert page.answer().breed == label


def test_numbers_that_both_sides_need_are_the_same_on_both(start: PageDriver) -> None:
    assert start.page.evaluate("[MAX_BYTES, KEY_HEADER]") == [MAX_PHOTO_BYTES, API_KEY_HEADER]

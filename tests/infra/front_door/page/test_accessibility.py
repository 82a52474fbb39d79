"""Who reads the page otherwise, or on something small: axe-core, phones, motion, in a real browser."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from contract.inference import Answer, ErrorCode, InferenceError, Prediction
from tests.infra.front_door.page.fake_api import KEY, FakeApi
from tests.infra.front_door.page.page_driver import OpenPage, PageDriver
from tests.infra.front_door.page.photos import opened

AXE = Path(__file__).parents[4] / "node_modules" / "axe-core" / "axe.min.js"
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
STATES = ("empty", "no key", "not sure", "explanation", "error", "answer")

Save = Callable[..., Path]


@pytest.fixture
def brought_to(
    open_page: OpenPage, api: FakeApi, drawn_dogs: Mapping[str, bytes], save: Save
) -> Callable[..., PageDriver]:
    """Return what opens the page and brings it to one of the STATES."""

    def bring(state: str, **options: Any) -> PageDriver:
        page = open_page(key="" if state == "no key" else KEY, **options)
        if state == "no key":
            return page
        if state == "empty":
            page.settle(6)
            return page
        if state == "not sure":
            api.answer = Answer([Prediction(label, 0.2) for label in drawn_dogs][:5], confident=False)
        if state == "error":
            api.refusals = [InferenceError(ErrorCode.UNAVAILABLE, "the model is not available", retry_after=60)]
        page.drop(save("dog.jpg", opened(next(iter(drawn_dogs.values())))))
        if state == "error":
            page.message()
            return page
        page.answer()
        page.settle(5)
        if state == "explanation":
            page.explain()
        return page

    return bring


@pytest.mark.slow
@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: npm ci")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing(brought_to: Callable[..., PageDriver], state: str, scheme: str) -> None:
    page = brought_to(state, color_scheme=scheme, reduced_motion="reduce")
    page.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.page.evaluate("axe.run()")
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
    assert len(found["passes"]) > 20  # it did look


@pytest.mark.parametrize("state", ["answer", *(pytest.param(one, marks=pytest.mark.slow) for one in STATES[:-1])])
def test_a_phone_shows_all_of_it_and_a_finger_can_press_it(brought_to: Callable[..., PageDriver], state: str) -> None:
    page = brought_to(state, **PHONE)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]
    pressed = "button:visible, a:visible, summary:visible, #key:visible, .views span:visible"
    sizes = page.page.locator(pressed).evaluate_all(
        "all => all.map(one => [one, one.getBoundingClientRect()])"
        ".map(([one, box]) => [one.textContent, box.width, box.height])"
    )
    assert len(sizes) >= 2
    assert [one for one in sizes if min(one[1:]) < 44] == []  # pixels, as WCAG 2.5.5 wants


def test_on_the_narrowest_screens_no_word_is_broken(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 320, "height": 640})
    page.settle(6)
    box = page.page.locator(".mark").bounding_box()
    assert box is not None
    assert box["height"] < 44  # one line
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 320


def test_which_view_is_chosen_shows_in_the_reader_s_own_colours_too(brought_to: Callable[..., PageDriver]) -> None:
    page = brought_to("answer", forced_colors="active")
    chosen, other = page.page.locator(".views span").evaluate_all("all => all.map(one => getComputedStyle(one).color)")
    assert chosen != other


def test_the_colours_follow_the_reader_s_choice(open_page: OpenPage) -> None:
    grounds = {
        scheme: open_page(color_scheme=scheme).page.evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert grounds == {"light": "rgb(250, 248, 244)", "dark": "rgb(21, 23, 28)"}


def test_nothing_moves_for_who_wants_that(brought_to: Callable[..., PageDriver]) -> None:
    page = brought_to("answer", reduced_motion="reduce")
    assert page.page.evaluate("document.getAnimations().length") == 0


def test_focus_can_be_seen(open_page: OpenPage) -> None:
    page = open_page()
    page.settle(6)
    page.page.keyboard.press("Tab")
    outline = page.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_a_screen_reader_hears_what_happens(
    open_page: OpenPage, api: FakeApi, drawn_dogs: Mapping[str, bytes], save: Save
) -> None:
    page = open_page()
    page.page.evaluate(
        "() => { window.heard = []; const status = document.querySelector('#status');"
        " new MutationObserver(() => heard.push(status.textContent)).observe(status, { childList: true }); }"
    )
    page.drop(save("dog.jpg", opened(next(iter(drawn_dogs.values())))))
    breed = page.answer().breed
    assert page.page.evaluate("heard") == ["Reading the photo", "The model is looking at the photo", ""]
    assert breed in page.page.evaluate("document.activeElement.textContent")  # what is in focus is read

"""A browser, the API's stand-in, and photos to show to both."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from infra.front_door.page import load_page
from tests.infra.front_door.page.fake_api import KEY, FakeApi
from tests.infra.front_door.page.page_driver import OpenPage, PageDriver, launch, need_browser
from tests.infra.front_door.page.photos import drawn

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def drawn_dogs() -> Mapping[str, bytes]:
    """Return a drawn photo of each of the toy set's breeds, by label."""
    return drawn(1)


@pytest.fixture(scope="session")
def drawn_examples() -> Mapping[str, bytes]:
    """Return another one of each."""
    return drawn(2)


@pytest.fixture
def api(drawn_dogs: Mapping[str, bytes], drawn_examples: Mapping[str, bytes]) -> Iterator[FakeApi]:
    """Return an API that knows the drawn dogs."""
    with FakeApi(load_page(), drawn_dogs, drawn_examples) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Return a browser; for one module, since Playwright's event loop lets no other run beside it."""
    need_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def open_page(api: FakeApi, browser: "Browser") -> Iterator[OpenPage]:
    """Return what opens the page in a tab of its own, with the right key unless told otherwise.

    Whatever a test does, the page asks nobody but its API and breaks none of its own rules.
    """
    opened: list[PageDriver] = []

    def open_one(key: str = KEY, *, url: str | None = None, **options: Any) -> PageDriver:
        opened.append(PageDriver(url or api.url, key, browser=browser, **options))
        return opened[-1]

    yield open_one
    for page in opened:
        with page:
            assert page.elsewhere == []
            assert [said for said in page.complaints if not said.startswith("Failed to load resource")] == []


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes an image to a file of a name, whose end says the format, and returns its path."""

    def write(name: str, image: Image.Image, **options: Any) -> Path:
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return write

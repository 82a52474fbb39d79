"""Takes the pictures of the page that are in docs/images.

python -m tests.infra.front_door.page.pictures                         with drawn dogs and a stand-in for the model
python -m tests.infra.front_door.page.pictures ADDRESS KEY PHOTO       of an API that runs
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import sync_playwright

from infra.front_door.page import Page, load_page
from infra.settings import load_settings
from tests.infra.front_door.page.fake_api import KEY, FakeApi
from tests.infra.front_door.page.page_driver import PageDriver, launch
from tests.infra.front_door.page.photos import drawn

ROOT: Final = Path(__file__).parents[4]
IMAGES: Final = ROOT / "docs" / "images"
_SHARP: Final = {"device_scale_factor": 1.25}
WINDOWS: Final[Mapping[str, dict[str, Any]]] = {
    "page-desktop": {"viewport": {"width": 1180, "height": 860}, **_SHARP},
    "page-dark": {"viewport": {"width": 1180, "height": 860}, "color_scheme": "dark", **_SHARP},
    "page-phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}


def take(folder: Path, address: str, key: str, photo: Path) -> None:
    """Write a picture of the answer for each of WINDOWS below ``folder``."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for name, window in WINDOWS.items():
            with PageDriver(address, key, browser=browser, reduced_motion="reduce", **window) as page:
                page.drop(photo)
                page.settle(len(page.answer().rows))
                page.screenshot(folder / f"{name}.jpg", whole=True)
        browser.close()


def page_for_dogs() -> Page:
    """Return the page with the texts of the stage whose data set is of dogs."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    api = load_settings(context["stages"], context["stage"]).api
    return load_page(api.page_heading, api.page_lead)


def main(arguments: list[str]) -> None:
    """Take them."""
    with ExitStack() as stack:
        if arguments:
            address, key, photo = arguments[0], arguments[1], Path(arguments[2])
        else:
            known = drawn(4)
            photo = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "photo.jpg"
            photo.write_bytes(known["Snowcap Sledder"])
            address, key = stack.enter_context(FakeApi(page_for_dogs(), known, drawn(3))).url, KEY
        take(IMAGES, address, key, photo)


if __name__ == "__main__":
    main(sys.argv[1:])

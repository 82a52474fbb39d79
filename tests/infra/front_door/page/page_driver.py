"""What a person does with the page and sees on it, in a real browser, wherever the page is.

Playwright, since it drives Debian's Chromium by its path alone: no second program of the system has to match it.

    with PageDriver("http://127.0.0.1:8080", key) as page:
        page.drop(Path("photo.jpg"))
        print(page.answer())
"""

import base64
import mimetypes
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:  # where it is not installed, tests are still collected, and then skipped
    from playwright.sync_api import Browser, ConsoleMessage, Playwright

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# A camera that sees a test pattern and may be used without asking; no sandbox, which root cannot have.
_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
_BRING: Final = """([event, name, type, data]) => {
  const files = new DataTransfer();
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  files.items.add(new File([bytes], name, { type }));
  const options = { bubbles: true, cancelable: true };
  document.querySelector("#stage").dispatchEvent(event === "drop"
    ? new DragEvent("drop", { ...options, dataTransfer: files })
    : new ClipboardEvent("paste", { ...options, clipboardData: files }));
}"""


def need_browser() -> None:
    """Leave out the test where there is nothing to drive, or nothing to drive it with."""
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: requirements-dev.txt")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")


def launch(playwright: "Playwright") -> "Browser":
    """Start the machine's Chromium."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS))


@dataclass(frozen=True)
class Shown:
    """An answer as it stands on the page.

    Attributes:
        sureness: the words above the breed.
        breed: the first one, in large.
        words: the sentence below it.
        rows: label and percentage of each.
        widths: of their bars, 0 to 1.
    """

    sureness: str
    breed: str
    words: str
    rows: tuple[tuple[str, str], ...]
    widths: tuple[float, ...]


class PageDriver:
    """One tab with the page in it; the browser is its own unless one is lent.

    Attributes:
        page: Playwright's.
        complaints: what the browser logged as a warning or an error, and uncaught exceptions.
        elsewhere: addresses that were asked for beside the API's own.
    """

    def __init__(self, base_url: str, key: str = "", *, browser: "Browser | None" = None, **options: Any) -> None:
        """Take ``key`` along in the address's fragment; ``options`` are those of Browser.new_context."""
        self._close: list[Callable[[], None]] = []
        lent = self._launch() if browser is None else browser
        self._api = base_url.partition("?")[0].rstrip("/")
        self.context = lent.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        self._ready: Path | None = None
        # Here, since the browser opens no window of its own from when somebody listens, which takes it a moment.
        self.page.on("filechooser", lambda chooser: chooser.set_files(self._ready) if self._ready else None)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._see(request.url))
        self.page.goto(f"{base_url}#key={key}" if key else base_url)

    def __enter__(self) -> "PageDriver":
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the tab, and the browser if it is its own."""
        self.context.close()
        for close in self._close:
            close()

    def drop(self, file: Path) -> None:
        """Drop a file on the page."""
        self._bring("drop", file)

    def paste(self, file: Path) -> None:
        """Paste a file."""
        self._bring("paste", file)

    def have_ready(self, file: Path) -> None:
        """Choose this file whenever a window for choosing one opens."""
        self._ready = file

    def choose(self, file: Path) -> None:
        """Choose a file in the browser's window for that."""
        with self.page.expect_file_chooser() as chooser:
            self.page.locator("#choose").click()
        chooser.value.set_files(file)

    def answer(self) -> Shown:
        """Wait for the answer and return it."""
        self.page.locator("#answer").wait_for()
        rows = self.page.locator("#breeds li").all()
        bars = "one => parseFloat(one.style.width) / 100"
        return Shown(
            self._text("#sureness"),
            self._text("#breed"),
            self._text("#words"),
            tuple((row.locator(".name").inner_text(), row.locator(".share").inner_text()) for row in rows),
            tuple(float(row.locator(".fill").evaluate(bars)) for row in rows),
        )

    def message(self) -> str:
        """Wait for a word about what went wrong and return it; asking for a key is one, too."""
        self.page.locator("#trouble:visible, #key-error:visible:not(:empty)").first.wait_for()
        if self.page.locator("#trouble").is_visible():
            return f"{self._text('#trouble-title')}. {self._text('#trouble-text')}"
        return self._text("#key-error")

    def enter_key(self, key: str) -> None:
        """Fill in the key and send it off."""
        self.page.locator("#key").fill(key)
        self.page.locator("#key").press("Enter")

    def explain(self) -> None:
        """Have it show what the model looked at, and wait until it does."""
        self.page.get_by_text("What the model looked at", exact=True).click()
        self.page.locator("#explanation").wait_for()

    def settle(self, examples: int) -> None:
        """Wait until so many example photos are shown."""
        self.page.wait_for_function(
            "wanted => [...document.querySelectorAll('.panel .example img')].filter(one => one.checkVisibility()"
            " && one.complete && one.naturalWidth > 0).length >= wanted",
            arg=examples,
        )

    def photo_size(self) -> tuple[int, int]:
        """Return width and height of the photo that is shown, in its own pixels."""
        self.page.locator("#photo").wait_for()
        width, height = self.page.evaluate(
            "async () => { const one = document.querySelector('#photo'); await one.decode();"
            " return [one.naturalWidth, one.naturalHeight]; }"
        )
        return int(width), int(height)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write what the window shows, or all of the page, to a .png or .jpg, every movement at its end."""
        quality = 90 if path.suffix == ".jpg" else None
        self.page.screenshot(path=path, quality=quality, animations="disabled", full_page=whole)

    def _launch(self) -> "Browser":
        from playwright.sync_api import sync_playwright

        playwright = sync_playwright().start()
        browser = launch(playwright)
        self._close += [browser.close, playwright.stop]
        return browser

    def _bring(self, event: str, file: Path) -> None:
        kind = mimetypes.guess_type(file.name)[0] or ""
        data = base64.b64encode(file.read_bytes()).decode("ascii")
        self.page.evaluate(_BRING, [event, file.name, kind, data])

    def _text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def _hear(self, message: "ConsoleMessage") -> None:
        if message.type in {"warning", "error"}:
            self.complaints.append(message.text)

    def _see(self, url: str) -> None:
        if not url.startswith((self._api, "blob:", "data:")):
            self.elsewhere.append(url)


OpenPage = Callable[..., PageDriver]

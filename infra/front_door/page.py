"""The pages for people: each one HTML document with its styles and scripts in it, and what a browser may do with it."""

import base64
import functools
import hashlib
import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from contract.front_door import PAGE_HEADING, PAGE_LEAD

# Beside the content security policy, which depends on what is in the page.
_HEADERS: Final = {
    # The page and its policy belong together, and a new deployment may bring new ones.
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    # A key may stand in the address for a moment.
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# How page.html names its other files.
_NAMED: Final = {
    "style": re.compile(r'<link rel="stylesheet" href="(\w+\.css)">'),
    "script": re.compile(r'<script src="(\w+\.js)"></script>'),
}
_FOLDER: Final = Path(__file__).with_name("page")


@dataclass(frozen=True)
class Page:
    """A page as it is sent.

    Attributes:
        html: the document, UTF-8.
        content_security_policy: lets its own styles and scripts do something, nobody else's, and nothing but its own
            origin be asked.
    """

    html: bytes
    content_security_policy: str

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that it is to be sent with, besides the content type."""
        return MappingProxyType(_HEADERS | {"Content-Security-Policy": self.content_security_policy})


@functools.cache
def load_page(heading: str = PAGE_HEADING, lead: str = PAGE_LEAD, folder: Path = _FOLDER) -> Page:
    """Return page.html of ``folder`` with its texts, and the styles and scripts that it names, put in their places.

    In files of their own they can be read and edited, and page.html opens in a browser as it is.

    Args:
        heading: what the page asks; its title as well.
        lead: the sentence below it.
        folder: where page.html is.

    Raises:
        OSError: a file is missing.
        ValueError: a file would end the element that it is put into.
    """
    document = (folder / "page.html").read_text(encoding="utf-8")
    texts = {"heading": html.escape(heading), "lead": html.escape(lead)}
    document = re.sub("{(heading|lead)}", lambda named: texts[named[1]], document)
    for element, named in _NAMED.items():
        document = named.sub(_putter(folder, element), document)
    return page_of(document)


def page_of(document: str) -> Page:
    """Return a page of a whole document; only <style> and <script> without attributes do anything in it."""
    policy = (
        "default-src 'none'",
        f"script-src {_hashes(document, 'script')}",
        f"style-src {_hashes(document, 'style')}",
        # blob: what was chosen, and example photos, which are fetched with the key; data: what the model looked at.
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return Page(document.encode(), "; ".join(policy))


def _putter(folder: Path, element: str) -> Callable[[re.Match[str]], str]:
    """Return what replaces the naming of a file by its text in ``element``."""

    def put(named: re.Match[str]) -> str:
        text = (folder / named[1]).read_text(encoding="utf-8")
        if f"</{element}" in text.lower() or "<!--" in text:
            raise ValueError(f"{named[1]} holds what HTML takes for markup within <{element}>")
        return f"<{element}>{text}</{element}>"

    return put


def _hashes(document: str, element: str) -> str:
    """Return the sources of a policy that are exactly the texts of all ``element``."""
    texts = re.findall(f"<{element}>(.*?)</{element}>", document, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii") for text in texts]
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"

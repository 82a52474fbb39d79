import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from infra.front_door.page import load_page, page_of


class Attributes(HTMLParser):
    """Collects the attributes of all elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, name, value or "") for name, value in attrs]


@pytest.fixture(scope="module")
def attributes() -> list[tuple[str, str, str]]:
    return Attributes(load_page().html.decode()).found


def write(folder: Path, html: str, **files: str) -> Path:
    (folder / "page.html").write_text(html, encoding="utf-8")
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


def test_one_answer_is_all_of_the_page(attributes: list[tuple[str, str, str]]) -> None:
    assert [one for one in attributes if one[1] == "src"] == []
    links = [value for tag, name, value in attributes if name == "href" and not value.startswith(("data:", "#"))]
    assert set(links) == {"docs"}


def test_nothing_in_it_is_what_the_policy_forbids(attributes: list[tuple[str, str, str]]) -> None:
    assert [one for one in attributes if one[1] == "style" or one[1].startswith("on")] == []


def test_the_policy_allows_the_page_s_own_parts_and_its_own_api_alone() -> None:
    policy = dict(part.split(" ", 1) for part in load_page().content_security_policy.split("; "))
    scripts, styles = policy.pop("script-src"), policy.pop("style-src")
    assert re.fullmatch(r"('sha256-[\w+/]{43}='( |$))+", scripts)
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", styles)
    assert policy == {
        "default-src": "'none'",
        "img-src": "'self' blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_the_address_which_may_hold_a_key_is_told_to_nobody() -> None:
    headers = load_page().headers
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Permissions-Policy"].startswith("camera=(self), ")


def test_a_page_without_scripts_may_run_none() -> None:
    assert "script-src 'none'" in page_of("<!doctype html><title>T</title>").content_security_policy


def test_the_hash_is_the_one_that_browsers_compute() -> None:
    # The example of the specification: https://www.w3.org/TR/CSP3/#external-hash and MDN's of script-src.
    page = page_of("<script>alert('Hello, world.');</script>")
    assert "script-src 'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='" in page.content_security_policy


def test_files_come_into_the_places_where_they_are_named(tmp_path: Path) -> None:
    html = '<link rel="stylesheet" href="a.css"><p>x</p><script src="b.js"></script>'
    page = load_page(folder=write(tmp_path, html, a_css="p{}", b_js="x = 1;"))
    assert page.html == b"<style>p{}</style><p>x</p><script>x = 1;</script>"


def test_its_question_is_its_title_too_and_no_text_becomes_markup(tmp_path: Path) -> None:
    html = "<title>{heading}</title><h1>{heading}</h1><p>{lead}</p>"
    page = load_page("Cat & mouse?", "<b>{heading}</b>", write(tmp_path, html))
    assert page.html.decode() == (
        "<title>Cat &amp; mouse?</title><h1>Cat &amp; mouse?</h1><p>&lt;b&gt;{heading}&lt;/b&gt;</p>"
    )


@pytest.mark.parametrize("script", ["'</Script>'", "/* <!-- */"])
def test_a_script_that_html_would_end_early_is_refused(tmp_path: Path, script: str) -> None:
    with pytest.raises(ValueError, match=r"b\.js holds what HTML takes for markup"):
        load_page(folder=write(tmp_path, '<script src="b.js"></script>', b_js=script))


def test_a_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_page(folder=write(tmp_path, '<script src="b.js"></script>'))

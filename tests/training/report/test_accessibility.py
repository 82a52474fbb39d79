"""The page in a real browser: what axe-core finds, and whether it fits a phone."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.training.report.sample import class_rows, manifest, predictions, report_data, write_photos
from training.report.page import render

AXE = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Chromium's own names of what prefers-color-scheme says.
SCHEMES = {"dark": 0, "light": 1}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: npm ci"),
]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page with photos and everything on record, its closed parts opened, free to run our script."""
    labels = tuple(f"Breed number {n}" for n in range(20))
    rows = class_rows(labels)
    said = predictions(rows)
    pair = {
        "photos": [said[0].photo, said[1].photo],
        "splits": ["train", "test"],
        "labels": labels[:2],
        "identical": False,
        "distance": 2,
    }
    sizes = {"train": {"smallest": "200 x 180", "median": 375}}
    page = render(
        report_data(
            labels,
            predictions=said,
            manifest=manifest(labels, near_duplicates=[pair], image_sizes=sizes),
            photos=write_photos(tmp_path_factory.mktemp("photos"), said),
        )
    )
    return re.sub(r"<meta http-equiv=.Content-Security-Policy.[^>]*>", "", page).replace("<details", "<details open")


def ask(page: str, script: str, folder: Path, scheme: str, width: int = 1280) -> Any:
    """Return what ``script``, which ends in a promise, finds in the page."""
    answer = f"{script}.then(found => {{ document.title = 'found' + btoa(encodeURIComponent(JSON.stringify(found))) }})"
    file = folder / "page.html"
    file.write_text(page.replace("</body>", f"<script>{answer}</script></body>"), encoding="utf-8")
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"),
        *(f"--window-size={width},900", f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}"),
        *("--virtual-time-budget=60000", "--dump-dom", file.as_uri()),
    ]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout
    found = re.search(r"<title>found([^<]+)</title>", dumped)
    assert found is not None, dumped[:500]
    return json.loads(unquote(base64.b64decode(found[1]).decode()))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing(text: str, tmp_path: Path, scheme: str) -> None:
    script = f"{AXE.read_text(encoding='utf-8')};\naxe.run().then(found => [found.passes.length, found.violations.map("
    script += "one => [one.id, one.nodes.map(node => node.html.slice(0, 200))])])"
    passed, violations = ask(text, script, tmp_path, scheme)
    assert violations == []
    assert passed > 30  # it did look


def test_the_colours_follow_the_reader_s_choice(text: str, tmp_path: Path) -> None:
    script = "Promise.resolve(getComputedStyle(document.querySelector('.plot svg text')).fill)"
    inks = {scheme: ask(text, script, tmp_path, scheme) for scheme in SCHEMES}
    assert inks == {"dark": "rgb(233, 231, 226)", "light": "rgb(35, 38, 45)"}


def test_nothing_sticks_out_of_a_phone_s_screen(text: str, tmp_path: Path) -> None:
    """In a frame: a window of Chromium is at least 500 pixels wide."""
    outer = (
        f'<!doctype html><html><head><title></title></head><body><iframe width="390" height="844" '
        f'srcdoc="{text.replace("&", "&amp;").replace(chr(34), "&quot;")}"></iframe></body></html>'
    )
    script = (
        "new Promise(done => addEventListener('load', () => "
        "done(document.querySelector('iframe').contentDocument.documentElement.scrollWidth)))"
    )
    assert ask(outer, script, tmp_path, "light") <= 390

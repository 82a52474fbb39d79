"""docs/settings.md says what the code says."""

from typing import Any

from infra.checks import explain
from infra.settings import Settings
from infra.settings_page import PAGE, page


def test_the_page_is_current(context: dict[str, Any]) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(context["stages"]), "run: make settings"


def test_every_key_is_on_the_page_once(context: dict[str, Any]) -> None:
    text = page(context["stages"])
    for each in explain(Settings()):
        if not each.is_section and each.key != "stage":
            assert text.count(f"| `{each.key}` |") == 1, each.key


def test_a_stage_is_named_where_it_differs_and_only_there() -> None:
    text = page({"dev": {}, "trial": {"defaults": {"trials": 2}}})
    assert "| `defaults.trials` | `10`<br>trial: `2` |" in text
    assert text.count("<br>") == 1


def test_a_table_survives_what_markdown_would_read_as_its_own() -> None:
    row = next(line for line in page({"dev": {}}).splitlines() if "weights_prefix" in line)
    assert "&lt;backbone>.pth" in row

from pathlib import Path

import pytest

from tests.iam.table import BEGIN, END, Row, write

_ROWS = [Row("Role", "Sid", "s3:GetObject, s3:PutObject", "the execution fails: a|b is refused")]


def test_the_table_stands_between_the_markers_and_nothing_else_changes(tmp_path: Path) -> None:
    page = tmp_path / "security.md"
    page.write_text(f"# Security\n\n{BEGIN}\nold\n{END}\n\nmore\n")
    write(page, _ROWS)
    write(page, _ROWS)
    assert page.read_text() == (
        f"# Security\n\n{BEGIN}\n\n"
        "| role | statement | allows | without it |\n| --- | --- | --- | --- |\n"
        "| Role | Sid | s3:GetObject, s3:PutObject | the execution fails: a\\|b is refused |\n"
        f"\n{END}\n\nmore\n"
    )


def test_a_page_without_markers_is_told(tmp_path: Path) -> None:
    page = tmp_path / "security.md"
    page.write_text("# Security\n")
    with pytest.raises(ValueError, match="roles:begin"):
        write(page, _ROWS)

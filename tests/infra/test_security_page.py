"""docs/security.md says what the code says."""

import pytest

from infra.acknowledgements import ENTRIES
from infra.policies import ON_EVERYTHING
from infra.security_page import PAGE, renewed


def test_the_tables_are_current() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == renewed(page), "`make security` renews them"


def test_every_acknowledgement_and_every_action_on_everything_is_shown() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for entry in ENTRIES:
        assert entry.subject in page
    for action in ON_EVERYTHING:
        assert f"`{action}`" in page


def test_the_table_of_roles_has_its_place() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("<!-- roles:begin -->") == page.count("<!-- roles:end -->") == 1


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="holds 0 places <!-- acknowledgements:begin"):
        renewed("# Security")

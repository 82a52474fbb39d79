import webbrowser

import pytest

from console.errors import ConsoleError
from tests.console.prediction.conftest import Pedigree
from tests.console.prediction.fake_api import FakeApi


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a browser was given."""
    addresses: list[str] = []

    def open_it(url: str) -> bool:
        addresses.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", open_it)
    return addresses


def test_the_page_is_opened_with_the_key_where_no_server_sees_it(
    pedigree: Pedigree, api: FakeApi, opened: list[str]
) -> None:
    done = pedigree("open")
    assert opened == [f"{api.address}/#key=secret"]
    assert done.stdout == f"{api.address}/\n"
    assert "secret" not in done.output


def test_without_a_browser_it_is_told_how_to_get_there(
    pedigree: Pedigree, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    done = pedigree("open")
    assert done.exit_code == 1
    assert done.stdout == f"{api.address}/\n"
    error = done.exception
    assert isinstance(error, ConsoleError)
    assert f"Open {api.address}/ in one, and give it the key: pedigree env prints it." in error.hint
    assert "secret" not in error.hint

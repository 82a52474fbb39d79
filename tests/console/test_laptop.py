import json
import os
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

from console.connection import Connection
from console.errors import ConsoleError
from console.laptop import Laptop
from console.project import Project
from console.screen import Screen
from tests.console.fake_checkout import Checkout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path)
    monkeypatch.setattr(Project, "programs", tmp_path / "bin")
    yield checkout
    checkout.kill()


@pytest.fixture
def laptop(checkout: Checkout, screen: Screen) -> Iterator[Laptop]:
    laptop = Laptop(Project(checkout.root), screen)
    yield laptop
    laptop.stop()


def test_it_is_started_with_everything_it_needs_and_ended(laptop: Laptop, checkout: Checkout) -> None:
    laptop.start()
    given = json.loads((checkout.state / "given.json").read_text())
    assert given == {
        "state": str(checkout.state),
        "port": "4566",
        "api_port": "8080",
        "image": f"pedigree:laptop={checkout.root / 'bin'}",
        "exit_with_stdin": True,
    }
    laptop.check_alive()
    laptop.stop()
    assert (checkout.state / "ended").exists()


def test_the_ports_can_be_moved(laptop: Laptop, checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEDIGREE_PORT", "5001")
    monkeypatch.setenv("PEDIGREE_API_PORT", "5002")
    laptop.start()
    given = json.loads((checkout.state / "given.json").read_text())
    assert (given["port"], given["api_port"]) == ("5001", "5002")


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_a_wrong_port_is_refused(laptop: Laptop, monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PEDIGREE_PORT", port)
    with pytest.raises(ConsoleError, match="PEDIGREE_PORT"):
        laptop.start()


def test_its_end_is_noticed(laptop: Laptop) -> None:
    laptop.start()
    running = laptop.connection.process()
    assert running is not None
    running.kill()
    running.wait()
    with pytest.raises(ConsoleError, match="has ended"):
        laptop.check_alive()


def test_a_missing_image_is_told_before_anything_starts(laptop: Laptop, checkout: Checkout) -> None:
    (checkout.root / "bin" / "serve").unlink()
    with pytest.raises(ConsoleError, match="serve is missing") as caught:
        laptop.start()
    assert caught.value.hint == "Run: make setup"
    assert not checkout.state.exists()


def test_what_a_dead_one_left_behind_is_not_taken_for_running(laptop: Laptop, checkout: Checkout) -> None:
    checkout.state.mkdir(parents=True)
    connection = {
        "endpoint": "https://localhost:1",
        "ca_bundle": certifi.where(),
        "region": "us-east-1",
        "access_key_id": "a",
        "secret_access_key": "s",
        "account": "0",
        "api_url": "http://localhost:1",
        "pid": os.getpid(),  # alive, but another program
    }
    (checkout.state / "connection.json").write_text(json.dumps(connection))
    assert laptop.running() is None
    with pytest.raises(ConsoleError, match="No local cloud is running"):
        _ = laptop.connection


@pytest.mark.parametrize("text", ["", "[]", "{", '{"endpoint": "https://localhost:4566"}'])
def test_an_incomplete_connection_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "connection.json").write_text(text)
    assert Connection.load(tmp_path) is None


def test_nothing_of_the_persons_own_aws_settings_gets_in(
    laptop: Laptop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[profile mine]\nregion = eu-west-1\nendpoint_url = https://elsewhere\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    laptop.start()
    client = laptop.client("sts")
    assert client.meta.endpoint_url == laptop.connection.endpoint
    assert client.meta.region_name == "us-east-1"
    environment = laptop.environment()
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & environment.keys()
    assert environment["AWS_ENDPOINT_URL_S3"] == laptop.connection.endpoint
    assert environment["AWS_CONFIG_FILE"] == os.devnull
    assert "localhost" in environment["NO_PROXY"]

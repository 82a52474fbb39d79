import argparse
import os
import signal
from pathlib import Path

import pytest

from contract.names import Channel
from training.environment import (
    Interrupted,
    StopSignal,
    add_folder,
    channel_variable,
    container_folder,
    keep_freed_memory,
)


def test_a_folder_defaults_to_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(channel_variable(Channel.FEATURES), "/somewhere")
    parser = argparse.ArgumentParser()
    add_folder(parser, "--features", channel_variable(Channel.FEATURES), "features")
    assert parser.parse_args([]).features == Path("/somewhere")
    assert parser.parse_args(["--features", "here"]).features == Path("here")


def test_a_folder_is_required_where_its_variable_is_not_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SM_CHANNEL_FEATURES", raising=False)
    parser = argparse.ArgumentParser()
    add_folder(parser, "--features", channel_variable(Channel.FEATURES), "features")
    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert "--features" in capsys.readouterr().err


def test_the_containers_folders_move_with_its_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAGEMAKER_BASE_DIR", raising=False)
    assert container_folder("checkpoints") == Path("/opt/ml/checkpoints")
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", "/base")
    assert container_folder("input", "config") == Path("/base/input/config")


def test_sigterm_is_answered_at_the_next_check() -> None:
    stop = StopSignal().listen()
    stop.check()
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Interrupted) as raised:
        stop.check()
    assert raised.value.code == 143


def test_memory_settings_can_be_made_on_any_system(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_freed_memory()
    monkeypatch.setattr("sys.platform", "darwin")
    keep_freed_memory()

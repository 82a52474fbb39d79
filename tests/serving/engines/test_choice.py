import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from contract.names import ArtifactFile
from serving.engines import choice
from serving.engines.base import Engine, EngineUnavailableError
from serving.engines.choice import builders_for, choose
from serving.engines.measurement import Rates
from tests.serving.engines.conftest import CROP, FakeBuilder, eager_logits
from vision.check_photos import CheckPhotos, Logits, Photos
from vision.classifier import LoadedModel, save_artifact

Answer = Callable[[Photos], Logits]
CHECKED = 400


@pytest.fixture
def artifact(model: LoadedModel, tmp_path: Path) -> Path:
    """Return an artifact with photos to check engines with."""
    directory = tmp_path / "artifact"
    save_artifact(directory, model.classifier, model.classes, {})
    photos = np.random.default_rng(2).integers(0, 256, (CHECKED, 3, CROP, CROP), dtype=np.uint8)
    logits = eager_logits(model, photos)
    CheckPhotos(photos, logits.argmax(1), logits).save(directory / ArtifactFile.CHECK)
    return directory


@pytest.fixture(autouse=True)
def told_speeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an engine be slow by its name: no clock has a say in these tests."""

    def measure(engines: Mapping[str, Engine], _photos: Photos, _sizes: tuple[int, ...]) -> dict[str, Rates]:
        return {name: {1: 1.0 if name.startswith("slow") else 10.0, 2: 10.0} for name in engines}

    monkeypatch.setattr(choice, "measure", measure)


@pytest.fixture
def right(model: LoadedModel) -> Answer:
    """Return what answers as the network does."""
    return lambda photos: eager_logits(model, photos)


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the choice be among the builders given."""

    def offered(*builders: FakeBuilder) -> None:
        monkeypatch.setattr(choice, "builders_for", lambda _wanted: list(builders))

    return offered


def changing(answer: Answer, photos_changed: int) -> Answer:
    """Return what names so many of the CHECKED photos otherwise; the first photos of all are synthetic."""
    asked = 0

    def answered(photos: Photos) -> Logits:
        nonlocal asked
        logits = answer(photos)
        if len(photos) == 8 and asked < photos_changed:
            logits[0] = -logits[0]
            asked += 1
        return logits

    return answered


def candidate(facts: dict[str, object], name: str) -> dict[str, object]:
    candidates = facts["candidates"]
    assert isinstance(candidates, list)
    [found] = [each for each in candidates if each["name"] == name]
    assert isinstance(found, dict)
    return found


def test_the_faster_of_two_that_agree_is_picked_and_the_other_one_freed(
    model: LoadedModel, artifact: Path, tmp_path: Path, right: Answer, offer: Callable[..., None]
) -> None:
    slow, fast = FakeBuilder("slow", right), FakeBuilder("fast", right)
    offer(slow, fast)
    chosen = choose(artifact, model, cache=tmp_path)
    assert chosen.engine.name == "fast"
    assert [made() for made in (*slow.made, *fast.made)] == [None, chosen.engine]
    assert chosen.facts["engine"] == "fast"
    assert chosen.batch == 1
    assert candidate(chosen.facts, "fast")["top1_changed"] == 0
    assert chosen.facts["check_photos"] == CHECKED
    assert json.loads(json.dumps(chosen.facts)) == chosen.facts


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda photos: np.full((len(photos), 4), np.nan, np.float32), "no numbers"),
        (lambda photos: np.zeros((len(photos), 3), np.float32), "shape"),
        (lambda photos: 1 / 0, "ZeroDivisionError"),
        (lambda photos: np.eye(4, dtype=np.float32)[photos[:, 0, 0, 0] % 4], "otherwise"),
    ],
)
def test_what_answers_wrongly_is_refused_with_the_reason_however_fast(
    model: LoadedModel, artifact: Path, tmp_path: Path, right: Answer, offer: Callable[..., None], wrong: Answer,
    reason: str,
) -> None:  # fmt: skip
    offer(FakeBuilder("wrong", wrong), FakeBuilder("slow", right))
    chosen = choose(artifact, model, cache=tmp_path)
    assert chosen.engine.name == "slow"
    assert reason in str(candidate(chosen.facts, "wrong")["refused"])


@pytest.mark.parametrize(("changed", "picked"), [(2, "tried"), (3, "slow")])
def test_one_photo_in_two_hundred_may_be_named_otherwise_and_no_more(
    model: LoadedModel, artifact: Path, tmp_path: Path, right: Answer, offer: Callable[..., None],
    changed: int, picked: str,
) -> None:  # fmt: skip
    offer(FakeBuilder("tried", changing(right, changed)), FakeBuilder("slow", right))
    chosen = choose(artifact, model, cache=tmp_path)
    assert candidate(chosen.facts, "tried")["top1_changed"] == pytest.approx(changed / CHECKED)
    assert chosen.engine.name == picked


def test_where_none_agrees_the_error_says_why_of_each(
    model: LoadedModel, artifact: Path, tmp_path: Path, offer: Callable[..., None]
) -> None:
    def broken(_photos: Photos) -> Logits:
        raise RuntimeError("no such kernel")

    offer(FakeBuilder("one", broken), FakeBuilder("other", lambda photos: np.zeros((len(photos), 4), np.float32)))
    with pytest.raises(EngineUnavailableError, match=r"one: .*no such kernel.*other: .*otherwise"):
        choose(artifact, model, cache=tmp_path)


def test_without_photos_in_the_artifact_eager_answers_synthetic_ones_and_the_facts_say_so(
    model: LoadedModel, artifact: Path, tmp_path: Path, right: Answer, offer: Callable[..., None]
) -> None:
    (artifact / ArtifactFile.CHECK).unlink()
    offer(FakeBuilder("right", right))
    assert "synthetic" in choose(artifact, model, cache=tmp_path).facts["reference"]


def test_damaged_photos_in_the_artifact_are_as_good_as_none(
    model: LoadedModel, artifact: Path, tmp_path: Path, right: Answer, offer: Callable[..., None]
) -> None:
    (artifact / ArtifactFile.CHECK).write_bytes(b"PK\x03\x04 but no archive")
    offer(FakeBuilder("right", right))
    assert "synthetic" in choose(artifact, model, cache=tmp_path).facts["reference"]


def test_a_second_start_builds_only_what_was_picked(
    model: LoadedModel, artifact: Path, tmp_path: Path, right: Answer, offer: Callable[..., None]
) -> None:
    slow, fast = FakeBuilder("slow", right), FakeBuilder("fast", right)
    offer(slow, fast)
    first = choose(artifact, model, cache=tmp_path)
    second = choose(artifact, model, cache=tmp_path)
    third = choose(artifact, model, cache=tmp_path)
    assert (slow.built, fast.built) == (1, 3)
    assert [chosen.facts["from_cache"] for chosen in (first, second, third)] == [False, True, True]
    assert second.batch == first.batch
    assert second.facts["candidates"] == first.facts["candidates"]


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"{}", b'{"facts": {"engine": "unknown"}}', b'{"facts": 3}', b"\xff\xfe"]
)
def test_a_damaged_record_is_ignored_and_written_anew(
    model: LoadedModel, artifact: Path, tmp_path: Path, right: Answer, offer: Callable[..., None], damage: bytes
) -> None:
    offer(FakeBuilder("right", right))
    choose(artifact, model, cache=tmp_path)
    [record] = tmp_path.glob("*/choice-auto.json")
    record.write_bytes(damage)
    assert choose(artifact, model, cache=tmp_path).facts["from_cache"] is False
    assert choose(artifact, model, cache=tmp_path).facts["from_cache"] is True


def test_an_engine_that_answers_otherwise_than_when_it_was_picked_is_chosen_anew(
    model: LoadedModel, artifact: Path, tmp_path: Path, right: Answer, offer: Callable[..., None]
) -> None:
    offer(FakeBuilder("right", right))
    choose(artifact, model, cache=tmp_path)
    rotten = FakeBuilder("right", lambda photos: 5 - right(photos))
    offer(rotten, FakeBuilder("slow", right))
    chosen = choose(artifact, model, cache=tmp_path)
    assert chosen.facts["from_cache"] is False
    assert chosen.engine.name == "slow"


def test_a_kept_engine_that_ends_the_process_is_not_tried_again(
    model: LoadedModel, artifact: Path, tmp_path: Path, right: Answer, offer: Callable[..., None]
) -> None:
    offer(FakeBuilder("right", right))
    choose(artifact, model, cache=tmp_path)

    def ends(_photos: Photos) -> Logits:
        raise KeyboardInterrupt  # as near as a test gets to a crash: nothing of ours may catch it

    offer(FakeBuilder("right", ends))
    with pytest.raises(KeyboardInterrupt):
        choose(artifact, model, cache=tmp_path)
    offer(FakeBuilder("right", right))
    assert choose(artifact, model, cache=tmp_path).facts["from_cache"] is False


def test_damaged_files_of_openvino_are_made_anew(model: LoadedModel, artifact: Path, tmp_path: Path) -> None:
    expected = choose(artifact, model, "openvino", tmp_path)
    kept = [path for path in tmp_path.glob("*/*") if path.suffix in (".xml", ".bin", ".blob")]
    assert {path.suffix for path in kept} >= {".xml", ".bin"}
    for path in kept:
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    chosen = choose(artifact, model, "openvino", tmp_path)
    assert chosen.facts["from_cache"] is False
    probe = np.zeros((1, 3, CROP, CROP), np.uint8)
    np.testing.assert_allclose(chosen.engine.logits(probe), expected.engine.logits(probe), atol=1e-5)
    assert choose(artifact, model, "openvino", tmp_path).facts["from_cache"] is True


def test_an_engine_that_is_wanted_and_cannot_run_is_an_error(
    model: LoadedModel, artifact: Path, tmp_path: Path
) -> None:
    with pytest.raises(EngineUnavailableError, match=r"openvino-int8: .*int8\.xml"):
        choose(artifact, model, "openvino-int8", tmp_path)


def test_an_engine_that_nobody_knows_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(EngineUnavailableError, match=r"'tensorflow'.*eager"):
        builders_for("tensorflow")


def test_every_engine_has_a_name_of_its_own() -> None:
    builders = {b.name: b for wanted in ("eager", "compiled", "openvino", "openvino-int8", "cuda") for b in builders_for(wanted)}  # fmt: skip  # noqa: E501
    assert len(builders) == 7

import io
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.inference import Answer, InferenceError
from serving.answers import answers
from serving.engines.choice import Chosen
from serving.engines.eager import EagerBuilder
from serving.folder import Outcome, classify, main
from serving.scaling import scaled
from vision.check_photos import Logits, Photos
from vision.classifier import ModelCard, load_artifact, load_card


class CountingEngine:
    """Says of each photo the class whose number its brightness is, and keeps how many came at once."""

    name = "counting"

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.batches: list[int] = []

    def logits(self, photos: Photos) -> Logits:
        self.batches.append(len(photos))
        numbers = np.round(photos.mean(axis=(1, 2, 3)) / 40).astype(int)
        logits: Logits = np.eye(self.classes, dtype=np.float32)[numbers]
        return logits


class Kept:
    """Rows in memory."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Answer | InferenceError]] = []

    def add(self, photo: str, said: Answer | InferenceError) -> None:
        self.rows.append((photo, said))


def photo(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (40 * number,) * 3).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def card(artifact: Path) -> ModelCard:
    return load_card(artifact)


@pytest.fixture
def engine(card: ModelCard) -> CountingEngine:
    return CountingEngine(len(card.classes))


def run(folder: Path, card: ModelCard, engine: CountingEngine, batch: int = 4) -> tuple[Kept, Outcome]:
    kept = Kept()
    return kept, classify(folder, card, Chosen(engine, batch, {}), kept)


def label(said: Answer | InferenceError) -> str:
    return said.predictions[0].label if isinstance(said, Answer) else str(said.code)


def test_every_photo_has_its_own_answer_in_the_order_of_the_names(
    tmp_path: Path, card: ModelCard, engine: CountingEngine
) -> None:
    for number in range(23):
        (tmp_path / f"{number:02}.png").write_bytes(photo(number % 6))
    kept, outcome = run(tmp_path, card, engine)
    labels = card.classes.labels
    assert [(name, label(said)) for name, said in kept.rows] == [(f"{n:02}.png", labels[n % 6]) for n in range(23)]
    assert engine.batches == [4, 4, 4, 4, 4, 3]
    assert outcome.photos == 23
    assert outcome.labels[labels[0]] == 4


def test_bad_photos_are_rows_with_their_reason_and_the_batches_stay_full(
    tmp_path: Path, card: ModelCard, engine: CountingEngine
) -> None:
    for number in range(8):
        (tmp_path / f"{number}.png").write_bytes(photo(number % 6))
    (tmp_path / "0a.jpg").write_bytes(b"no photo")
    (tmp_path / "1a.jpg").write_bytes(b"")
    (tmp_path / "2a.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "3a.png").write_bytes(photo(1)[:50])
    os.mkfifo(tmp_path / "4a.jpg")
    with (tmp_path / "5a.jpg").open("wb") as file:
        file.truncate(20_000_001)
    kept, outcome = run(tmp_path, card, engine)
    assert engine.batches == [4, 4]
    assert {name: label(said) for name, said in kept.rows if "a" in name} == {
        "0a.jpg": "BadImage",
        "1a.jpg": "EmptyBody",
        "2a.jpg": "NotFound",
        "3a.png": "BadImage",
        "4a.jpg": "NotFound",
        "5a.jpg": "PhotoTooLarge",
    }
    assert (outcome.photos, outcome.failed) == (14, 6)


def test_a_folder_of_nothing_but_damaged_files_is_written_as_it_goes(
    tmp_path: Path, card: ModelCard, engine: CountingEngine
) -> None:
    for number in range(40):
        (tmp_path / f"{number:02}.jpg").write_bytes(b"no photo")
    kept, outcome = run(tmp_path, card, engine)
    assert [name for name, _ in kept.rows] == [f"{number:02}.jpg" for number in range(40)]
    assert (outcome.photos, outcome.failed, engine.batches) == (40, 40, [])


def test_an_empty_folder_has_no_rows(tmp_path: Path, card: ModelCard, engine: CountingEngine) -> None:
    kept, outcome = run(tmp_path, card, engine)
    assert kept.rows == []
    assert outcome == Outcome()


def test_no_more_than_a_few_batches_are_decoded_ahead(
    tmp_path: Path, card: ModelCard, engine: CountingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        (tmp_path / f"{number:03}.png").write_bytes(photo(0))
    lock, decoded, most = threading.Lock(), 0, 0

    def counted(*given: object) -> object:
        nonlocal decoded, most
        with lock:
            decoded += 1
            most = max(most, decoded - sum(engine.batches))
        return scaled(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("serving.folder.scaled", counted)
    monkeypatch.setattr("serving.folder.available_cores", lambda: 2)
    run(tmp_path, card, engine)
    assert decoded == 200
    assert most <= 5 * 4 + 1


def test_the_program_says_what_the_network_says(
    artifact: Path,
    jpeg: bytes,
    png: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photos = tmp_path / "photos"
    (photos / "nested").mkdir(parents=True)
    (photos / "a.jpg").write_bytes(jpeg)
    (photos / "nested" / "b.png").write_bytes(png)
    (photos / "z.jpg").write_bytes(b"no photo")
    monkeypatch.setenv("SM_MODEL_DIR", str(artifact))
    monkeypatch.setattr("serving.folder.configure_logging", lambda: None)
    out = tmp_path / "answers.jsonl"
    main([str(photos), "--out", str(out), "--format", "jsonl", "--engine", "eager"])
    card = load_card(artifact)
    network = EagerBuilder().build(load_artifact(artifact), artifact, artifact)
    seen = np.stack([scaled(data, card.preprocessing).numpy() for data in (jpeg, png)])
    expected = [said.body() for said in answers(network.logits(seen), card, 5)]
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["photo"] for row in rows] == ["a.jpg", "nested/b.png", "z.jpg"]
    for row, wanted in zip(rows, expected, strict=False):
        assert [p["label"] for p in row["predictions"]] == [p["label"] for p in wanted["predictions"]]
        probabilities = [p["probability"] for p in row["predictions"]]
        assert probabilities == pytest.approx([p["probability"] for p in wanted["predictions"]], abs=1e-4)
    *progress, said = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert {line["total"] for line in progress} == {3}
    done = [line["done"] for line in progress]  # how many lines there are depends on the clock and on what a batch is
    assert done == sorted(done)
    assert (said["photos"], said["failed"], said["engine"]) == (3, 1, "eager")
    assert sum(said["labels"].values()) == 2


def test_a_folder_without_photos_is_one_line_that_says_what_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    monkeypatch.setattr("serving.folder.configure_logging", lambda: None)
    with pytest.raises(SystemExit, match=r"there are no photos below .*: no file's name ends in \.heic, .*\.webp$"):
        main([str(tmp_path), "--out", str(tmp_path / "answers.csv")])
    assert not (tmp_path / "answers.csv").exists()


def test_a_damaged_model_is_one_line_that_says_so(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "model"
    shutil.copytree(artifact, broken)
    (broken / "weights.pt").write_bytes(b"nothing")
    (tmp_path / "a.jpg").write_bytes(b"a photo, by its name")
    monkeypatch.setenv("SM_MODEL_DIR", str(broken))
    monkeypatch.setattr("serving.folder.configure_logging", lambda: None)
    with pytest.raises(SystemExit, match=r"the model cannot be used: the model in .* is damaged"):
        main([str(tmp_path), "--out", str(tmp_path / "answers.csv")])
    assert not (tmp_path / "answers.csv").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full, which Linux has")
def test_a_full_disk_is_one_line_that_says_so(
    artifact: Path, jpeg: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg)
    monkeypatch.setenv("SM_MODEL_DIR", str(artifact))
    monkeypatch.setattr("serving.folder.configure_logging", lambda: None)
    with pytest.raises(SystemExit, match="the answers cannot be written: No space left on device"):
        main([str(tmp_path), "--out", "/dev/full", "--engine", "eager"])

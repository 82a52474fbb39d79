"""Classify every photo below a folder, with no server: ``python -m serving.folder PHOTOS --out FILE``.

Threads read and decode ahead while the engine works on whole batches; rows are written in the order of the photos.
Standard output has one JSON object a line: how far it is, and at the end what came of it.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from contract.inference import MAX_UPLOAD_BYTES, TOP_K, Answer, ErrorCode, InferenceError
from contract.serving import ENGINES
from serving.answers import answers
from serving.cores import available_cores
from serving.engines.base import EngineUnavailableError
from serving.engines.choice import Chosen, choose
from serving.logs import configure_logging
from serving.photo_files import SUFFIXES, Found, photos_below
from serving.rows import FORMATS, Rows
from serving.scaling import scaled
from vision.classifier import ArtifactError, ModelCard, load_artifact, load_card

Scaled = NDArray[np.uint8]  # (3, crop, crop)
# Batches that are decoded ahead: the engine never waits for one slow photo, and memory stays what it is.
_BATCHES_AHEAD: Final = 4
# How often it is said how far it is.
_REPORT_SECONDS: Final = 0.2


@dataclass
class Outcome:
    """What came of a folder."""

    photos: int = 0
    failed: int = 0
    unsure: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def count(self, said: Answer | InferenceError) -> None:
        """Take one photo in."""
        self.photos += 1
        if isinstance(said, InferenceError):
            self.failed += 1
            return
        self.labels[said.predictions[0].label] += 1
        self.unsure += said.confident is False


def classify(folder: Path, card: ModelCard, chosen: Chosen, rows: Rows, total: int | None = None) -> Outcome:
    """Write a row for every photo below ``folder``; one that cannot be used gets its reason in its row."""
    outcome = Outcome()
    next_report = time.monotonic()
    with ThreadPoolExecutor(available_cores(), "decode", initializer=torch.set_num_threads, initargs=(1,)) as threads:
        for batch in _batches(_decoded(photos_below(folder), card, threads, chosen.batch), chosen.batch):
            for found, said in zip([found for found, _ in batch], _answered(batch, card, chosen), strict=True):
                rows.add(found.name, said)
                outcome.count(said)
            if total is not None and time.monotonic() >= next_report:
                next_report = time.monotonic() + _REPORT_SECONDS
                _tell({"done": outcome.photos, "total": total})
    return outcome


def _decoded(
    photos: Iterator[Found], card: ModelCard, threads: ThreadPoolExecutor, batch: int
) -> Iterator[tuple[Found, Scaled | InferenceError]]:
    """Yield photos in their order, decoded by threads that are some batches ahead and no more."""
    ahead: deque[tuple[Found, Future[Scaled | InferenceError]]] = deque()
    most = _BATCHES_AHEAD * max(batch, available_cores())
    for found in photos:
        ahead.append((found, threads.submit(_seen, found, card)))
        if len(ahead) >= most:
            first, seen = ahead.popleft()
            yield first, seen.result()
    while ahead:
        first, seen = ahead.popleft()
        yield first, seen.result()


def _batches(
    decoded: Iterator[tuple[Found, Scaled | InferenceError]], size: int
) -> Iterator[list[tuple[Found, Scaled | InferenceError]]]:
    """Gather ``size`` photos that the network can be asked about, and those that it cannot among them."""
    batch: list[tuple[Found, Scaled | InferenceError]] = []
    usable = refused = 0
    for found, seen in decoded:
        batch.append((found, seen))
        if isinstance(seen, InferenceError):
            refused += 1
        else:
            usable += 1
        if usable == size or refused == _BATCHES_AHEAD * size:  # a folder of nothing but damaged files, too
            yield batch
            batch, usable, refused = [], 0, 0
    if batch:
        yield batch


def _answered(
    batch: Sequence[tuple[Found, Scaled | InferenceError]], card: ModelCard, chosen: Chosen
) -> list[Answer | InferenceError]:
    usable = [seen for _, seen in batch if not isinstance(seen, InferenceError)]  # (3, crop, crop) each
    said = iter(answers(chosen.engine.logits(np.stack(usable)), card, TOP_K) if usable else ())
    return [seen if isinstance(seen, InferenceError) else next(said) for _, seen in batch]


def _seen(found: Found, card: ModelCard) -> Scaled | InferenceError:
    """Return what the network sees of a photo, (3, crop, crop), or why it sees nothing."""
    try:
        return scaled(_read(found), card.preprocessing).numpy()
    except InferenceError as error:
        return error


def _read(found: Found) -> bytes:
    """Return a photo's bytes, reading no more than a photo may have.

    Raises:
        InferenceError: it cannot be read, or has too many.
    """
    if found.error:
        raise InferenceError(ErrorCode.NOT_FOUND, found.error)
    try:
        if not found.path.is_file():  # a pipe, say, would be read for ever
            raise InferenceError(ErrorCode.NOT_FOUND, "no file, or a link that leads nowhere")
        size = found.path.stat().st_size
        if size > MAX_UPLOAD_BYTES:
            raise InferenceError(
                ErrorCode.TOO_LARGE, f"the photo has {size:,} bytes; at most {MAX_UPLOAD_BYTES:,} are allowed"
            )
        with found.path.open("rb") as file:
            return file.read(MAX_UPLOAD_BYTES + 1)
    except OSError as error:
        raise InferenceError(ErrorCode.NOT_FOUND, f"the file cannot be read: {error.strerror}") from error


def _tell(said: dict[str, Any]) -> None:
    print(json.dumps(said), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Classify a folder with the model in SM_MODEL_DIR; bad photos are rows, and no reason to fail."""
    parser = argparse.ArgumentParser(prog="python -m serving.folder", description=__doc__)
    parser.add_argument("photos", type=Path, help="the folder")
    parser.add_argument("--out", type=Path, required=True, help="the file to write; it is whole when this ends with 0")
    parser.add_argument("--format", choices=FORMATS, default="csv")
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0])
    given = parser.parse_args(arguments)
    configure_logging()
    total = sum(1 for _ in photos_below(given.photos))
    if total == 0:  # more likely the wrong folder than one that needs an empty answer
        sys.exit(f"there are no photos below {given.photos}: no file's name ends in {', '.join(sorted(SUFFIXES))}")
    directory = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    try:
        card = load_card(directory)
        chosen = choose(directory, load_artifact(directory), given.engine)
    except (ArtifactError, EngineUnavailableError) as error:
        sys.exit(f"the model cannot be used: {error}")
    start = time.monotonic()
    try:
        with given.out.open("w", encoding="utf-8", newline="") as file:
            outcome = classify(given.photos, card, chosen, FORMATS[given.format](file), total)
    except OSError as error:  # photos that cannot be read are rows
        sys.exit(f"the answers cannot be written: {error.strerror}")
    _tell(
        {
            "photos": outcome.photos,
            "failed": outcome.failed,
            "unsure": outcome.unsure,
            "labels": dict(outcome.labels.most_common()),
            "seconds": round(time.monotonic() - start, 3),
            "engine": chosen.engine.name,
            "batch": chosen.batch,
        }
    )


if __name__ == "__main__":
    main()

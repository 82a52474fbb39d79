"""What `pedigree predict` is asked: photos, for the API, or a folder, for the model itself."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from console.errors import ConsoleError
from console.prediction.api import Api, predict, show_answer
from console.prediction.folder import check_out
from console.screen import Screen


@dataclass(frozen=True)
class Folder:
    """Photos below one folder, and where the answers go."""

    photos: Path
    out: Path


def asked(photos: Sequence[Path], *, as_json: bool, out: Path | None, model: Path | None) -> Folder | None:
    """Return the folder that is meant, or None for single photos.

    Raises:
        ConsoleError: the options do not go together.
    """
    folders = [path for path in photos if path.is_dir()]
    if not folders:
        if out is not None or model is not None:
            raise ConsoleError("--out and --model are for a folder of photos.", "Single photos go to the API.")
        return None
    if len(photos) > 1:
        raise ConsoleError(f"{folders[0]} is a folder: one folder alone can be classified.")
    if as_json:
        raise ConsoleError("--json is for single photos.", "For a folder: --out answers.jsonl")
    return Folder(folders[0], check_out(out))


def ask(api: Api, screen: Screen, photos: Sequence[Path], as_json: bool) -> int:
    """Ask the API about each photo and show what it says; return how many could not be used."""
    failures = 0
    for photo in photos:
        try:
            found = predict(api, photo)
        except ConsoleError as error:
            screen.error(error.message, error.hint)
            failures += 1
            continue
        if as_json:
            print(json.dumps({"photo": str(photo)} | found.body(), ensure_ascii=False))
        else:
            show_answer(screen, photo, found)
    return failures

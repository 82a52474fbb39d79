"""What `pedigree predict` is asked: photos, for the API, or a folder, for the model itself."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from console.errors import UsageError
from console.prediction import show
from console.prediction.api import Api, Client
from console.prediction.explanations import Explanations
from console.prediction.failure import PhotoError
from console.prediction.folder import check_out
from console.prediction.patience import Patience
from console.prediction.photos import STDIN, is_address, read_photo
from console.screen import Screen
from contract.inference import TOP_K, Options


@dataclass(frozen=True, kw_only=True)
class Words:
    """The options of the command line, as they were given."""

    as_json: bool = False
    top: int | None = None
    explain: str | None = None
    out: Path | None = None
    model: Path | None = None


@dataclass(frozen=True)
class Folder:
    """Photos below one folder, and where the answers go."""

    photos: Path
    out: Path


@dataclass(frozen=True)
class Photos:
    """Single photos, how they are asked about and how they are answered."""

    names: Sequence[str]
    top: int = TOP_K
    as_json: bool = False
    explanations: Explanations | None = None

    @property
    def options(self) -> Options:
        """What the API is asked for."""
        return Options(self.top, explain=self.explanations is not None)


def asked(photos: Sequence[str], words: Words) -> Folder | Photos:
    """Return what is meant.

    Raises:
        UsageError: the options do not go together.
        ConsoleError: there is no place for the explanations.
    """
    if "" in photos:
        raise UsageError("The name of a photo is empty.", "Is a variable of the shell not set?")
    folders = [name for name in photos if name != STDIN and not is_address(name) and _is_folder(name)]
    if folders:
        return _folder(folders[0], photos, words)
    if words.out is not None or words.model is not None:
        reason = f"--out and --model are for a folder of photos, and {photos[0]} is none."
        raise UsageError(reason, "Single photos go to the API.")
    if STDIN in photos:
        _check_stdin(photos)
    explanations = None if words.explain is None else Explanations.at(words.explain, photos)
    return Photos(photos, words.top or TOP_K, words.as_json, explanations)


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:  # not to be looked at; whoever reads it says why
        return False


def _folder(folder: str, photos: Sequence[str], words: Words) -> Folder:
    if len(photos) > 1:
        raise UsageError(f"{folder} is a folder: one folder alone can be classified.")
    if words.as_json:
        raise UsageError("--json is for single photos.", "For a folder: --out answers.jsonl")
    if words.top is not None or words.explain is not None:
        raise UsageError("--top and --explain are for single photos.", "A folder's answers go to --out.")
    return Folder(Path(folder), check_out(words.out))


def _check_stdin(photos: Sequence[str]) -> None:
    if photos.count(STDIN) > 1:
        raise UsageError("Standard input, -, is one photo: give it once.")
    if sys.stdin is None:
        raise UsageError("Standard input, -, is closed here.", "For example: pedigree predict - < photo.jpg")
    if sys.stdin.isatty():
        raise UsageError("Standard input, -, is the keyboard here.", "For example: pedigree predict - < photo.jpg")


def ask(api: Api, screen: Screen, photos: Photos) -> int:
    """Ask the API about each photo and show what it says; return how many have no answer."""
    failures = 0
    with Client(api, Patience(screen)) as client:
        for name in photos.names:
            failures += not _ask_one(client, screen, name, photos)
    return failures


def _ask_one(client: Client, screen: Screen, name: str, photos: Photos) -> bool:
    """Ask about one photo; return whether it was answered."""
    shown = os.fsencode(name).decode("utf-8", "replace")  # a file's name need not be text
    places, picture = photos.explanations, None
    try:
        answer = client.predict(read_photo(name, screen), photos.options)
        if places is not None and answer.explanation is not None:
            picture = places.keep(name, answer.explanation)
    except PhotoError as error:
        if photos.as_json:
            print(show.error_line(shown, error), flush=True)
        else:
            show.show_error(screen, shown, error)
        return False
    if photos.as_json:
        print(show.answer_line(shown, answer, picture, is_explained=places is not None), flush=True)
        return True
    show.show_answer(screen, shown, answer, picture)
    if places is not None and picture is None:
        screen.note("The model says nothing of what it looked at.")
    return True

"""A file over https, with progress, limits, and resumption after a lost connection."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import requests

from training.errors import PhotosError

MAX_BYTES: Final = 20 << 30
ATTEMPTS: Final = 4
PAUSE_SECONDS: Final = 1.0  # doubled after each attempt
TIMEOUT: Final = (15, 60)  # seconds to connect, seconds without a byte
_CHUNK: Final = 1 << 16  # what a lost connection costs at most
_PROGRESS_SECONDS: Final = 5.0
_RETRY_STATUS: Final = (429, 500, 502, 503, 504)
_LOST: Final = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class _InterruptedError(Exception):
    """The connection was lost, or the server was busy; another attempt may do."""


def download(
    url: str,
    path: Path,
    *,
    shown: str,
    say: Callable[[str], None],
    max_bytes: int = MAX_BYTES,
    pause: float = PAUSE_SECONDS,
) -> None:
    """Write what ``url`` gives to ``path``; ``shown`` is the URL as messages may show it.

    Raises:
        PhotosError: not found, refused, too large, redirected away from https, or interrupted ATTEMPTS times.
    """
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with requests.Session() as session:
        del session.adapters["http://"]  # so that no redirect leads away from https
        for attempt in range(1, ATTEMPTS + 1):
            try:
                _attempt(session, url, partial, shown, say, max_bytes)
                break
            except (_InterruptedError, *_LOST) as error:
                had = partial.stat().st_size if partial.exists() else 0
                if attempt == ATTEMPTS:
                    raise PhotosError(
                        f"downloading {shown} failed {ATTEMPTS} times, the last time after {had:,} bytes "
                        f"({_cause(error)}): check the address and the network, or give a local copy"
                    ) from error
                say(f"download interrupted after {had:,} bytes ({_cause(error)}), trying again")
                time.sleep(pause * 2 ** (attempt - 1))
            except requests.exceptions.InvalidSchema as error:
                raise PhotosError(f"{shown} redirects away from https: give the address of the file itself") from error
            except requests.RequestException as error:
                raise PhotosError(f"{shown} cannot be downloaded ({_cause(error)}): check the address") from error
    partial.replace(path)


def _attempt(
    session: requests.Session, url: str, partial: Path, shown: str, say: Callable[[str], None], max_bytes: int
) -> None:
    """Download what is still missing; raise _InterruptedError where the server ended early."""
    had = partial.stat().st_size if partial.exists() else 0
    # Identity: a length that counts the bytes on the wire must count the file's bytes.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={had}-"} if had else {})
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code in _RETRY_STATUS:
            raise _InterruptedError(f"the server answered {response.status_code} {response.reason}")
        if response.status_code not in (200, 206):
            raise PhotosError(
                f"{shown} answered {response.status_code} {response.reason}: check the address and that it is public"
            )
        if response.status_code == 200:
            had = 0  # the server cannot resume: from the beginning
        length = response.headers.get("Content-Length")
        total = None if length is None else had + int(length)
        if total is not None and total > max_bytes:
            raise PhotosError(f"{shown} is {total:,} bytes; at most {max_bytes:,} are downloaded")
        _receive(response, partial, had, total, shown, say, max_bytes)


def _receive(
    response: requests.Response,
    partial: Path,
    had: int,
    total: int | None,
    shown: str,
    say: Callable[[str], None],
    max_bytes: int,
) -> None:
    said = time.monotonic()
    with partial.open("ab" if had else "wb") as file:
        for chunk in response.iter_content(_CHUNK):
            file.write(chunk)
            had += len(chunk)
            if had > max_bytes:
                raise PhotosError(f"{shown} is larger than {max_bytes:,} bytes, the most that is downloaded")
            if time.monotonic() - said > _PROGRESS_SECONDS:
                said = time.monotonic()
                of_total = "" if total is None else f" of {total / 1e6:,.0f} ({had / total:.0%})"
                say(f"downloaded {had / 1e6:,.0f}{of_total} MB")
    if total is not None and had != total:
        raise _InterruptedError(f"{had:,} of {total:,} bytes came")


def _cause(error: Exception) -> str:
    """Return the innermost cause's words; requests wraps them several times, with the full URL (perhaps a secret)."""
    while error.__context__ is not None and isinstance(error.__context__, Exception):
        error = error.__context__
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

"""Where the console writes: rich on a terminal, plain lines everywhere else."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console, RenderableType
from rich.markup import escape


def duration(seconds: float) -> str:
    """Return a duration for people: ``0:07``, ``12:03``, ``1:02:03``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, last = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{last:02}" if hours else f"{minutes}:{last:02}"


def percent(share: float) -> str:
    """Return a share of 1 for people, to the tenth: ``97.4 %``."""
    return f"{100 * share:.1f} %"


class Screen:
    """Standard output and standard error, each as what it is."""

    def __init__(self, out: Console | None = None, err: Console | None = None) -> None:
        self.out = out or Console(highlight=False)
        self.err = err or Console(stderr=True, highlight=False)

    @property
    def is_live(self) -> bool:
        """Whether standard output is a terminal on which lines can be redrawn."""
        return self.out.is_terminal and not self.out.is_dumb_terminal

    @property
    def has_blocks(self) -> bool:
        """Whether block characters can be shown on standard output."""
        return self.is_live and not self.out.options.ascii_only

    def say(self, text: str = "", style: str = "") -> None:
        """Print a line as it is: no markup, and no wrapping that would break what people copy."""
        self.out.print(text, style=style or None, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def show(self, renderable: RenderableType) -> None:
        """Print a table or another rich object."""
        self.out.print(renderable)

    def error(self, message: str, hint: str = "") -> None:
        """Print what went wrong, and what to do about it, on standard error."""
        self.err.print(f"[bold red]Error:[/] {escape(message)}", emoji=False, soft_wrap=True)
        if hint:
            self.err.print(escape(hint), emoji=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """Print a line on standard error."""
        self.err.print(text, markup=False, emoji=False, soft_wrap=True)

    @contextmanager
    def task(self, doing: str, done: str) -> Iterator[None]:
        """Show that something goes on, and at its end how long it took."""
        start = time.monotonic()
        if self.is_live:
            with self.out.status(f"{escape(doing)} ..."):
                yield
        else:
            self.say(f"{doing} ...")
            yield
        self.say(f"{done} ({time.monotonic() - start:.1f} s)")

    def waiting(self, why: str) -> AbstractContextManager[object]:
        """Show why nothing happens, while it does not; where there is no terminal, rich keeps quiet."""
        return self.err.status(escape(why))

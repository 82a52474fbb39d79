"""Writes the report of a training again from the files that it left.

python -m training.report --output build/output --prepared build/prepared --tuning build/tuning
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import UndefinedError

from contract.names import OutputFile
from training.progress import say
from training.report.data import collect
from training.report.page import UNREADABLE, write_report


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options and write the page."""
    parser = argparse.ArgumentParser(prog="python -m training.report", description="Write a training's report again.")
    parser.add_argument("--output", type=Path, required=True, help="folder with metrics.json; the report goes there")
    parser.add_argument("--prepared", type=Path, help="what prepare.py left: the photos")
    parser.add_argument("--tuning", type=Path, help="folder with tuning.json")
    options = parser.parse_args(arguments)
    when = (
        (options.output / OutputFile.METRICS).stat().st_mtime if (options.output / OutputFile.METRICS).is_file() else 0
    )
    created = datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M UTC")
    try:
        data = collect(options.output, options.prepared, options.tuning, created)
    except (OSError, ValueError) as error:
        parser.error(f"there is no training to report in {options.output}: {error}")
    try:
        write_report(options.output / OutputFile.REPORT, data)
    except (*UNREADABLE, UndefinedError) as error:
        parser.error(f"{options.output / OutputFile.METRICS} is not as this version's trainings leave it: {error!r}")
    say(str(options.output / OutputFile.REPORT))


if __name__ == "__main__":
    main()

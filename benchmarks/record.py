"""How every benchmark reports: a table on the terminal, one JSON file in build/bench."""

import json
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

BENCH = Path(__file__).parents[1] / "build" / "bench"


def report(name: str, ratios: Mapping[str, Sequence[float]], notes: Sequence[str] = ()) -> None:
    """Print and keep the ratios, one value per pair; median, lowest and highest say how noisy the machine was."""
    summary = {
        key: {
            "median": round(statistics.median(values), 4),
            "min": round(min(values), 4),
            "max": round(max(values), 4),
            "n": len(values),
        }
        for key, values in ratios.items()
    }
    print(f"{'ratio':<28}{'median':>10}{'min':>10}{'max':>10}{'n':>4}")
    for key, row in summary.items():
        print(f"{key:<28}{row['median']:>10.3f}{row['min']:>10.3f}{row['max']:>10.3f}{row['n']:>4}")
    for note in notes:
        print(note)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    command = shlex.join([Path(sys.executable).name, *sys.orig_argv[1:]])
    BENCH.mkdir(parents=True, exist_ok=True)
    partial = BENCH / f"{name}.json.partial"
    partial.write_text(
        json.dumps({"ratios": summary, "notes": list(notes), "machine": machine, "command": command}, indent=1),
        encoding="utf-8",
    )
    partial.replace(BENCH / f"{name}.json")

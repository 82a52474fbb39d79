"""From start to ready: how long our model server takes on ResNet50, without and with an engine kept from before.

Command:   make bench NAME=start             (five pairs, about five minutes on 2 cores)
Baseline:  the limits: 30 s without and 10 s with what an earlier start of the same artifact kept.
Ours:      container.serve on an artifact as a training leaves it, as an endpoint is started: process begun until GET
           /ping says 200. Cold: the artifact's and the user's cache are empty. Warm: the start after that one, with the
           same caches. Files that the system has in memory stay there; the installed packages' compiled code is there
           for both.
Expected:  cold_over_30s and warm_over_10s below 1 on 2 cores without a GPU; warm_over_cold says what is kept is worth.
"""

import argparse
import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.record import report
from benchmarks.serving.artifact import DOGS, make_artifact, photos_in
from benchmarks.serving.servers import ours, running
from serving.engines.cache import FOLDER

COLD_SECONDS: Final = 30.0
WARM_SECONDS: Final = 10.0


def main() -> None:
    """Start in pairs and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--photos", type=Path, default=DOGS, help="a folder with test/, valid/ and train/")
    options = parser.parse_args()
    cold, warm = [], []
    with tempfile.TemporaryDirectory(prefix="pedigree-bench-") as temporary:
        base, caches = Path(temporary), Path(temporary, "cache")
        model = make_artifact(base, options.photos)
        photo = photos_in(options.photos / "test")[0].read_bytes()
        for _ in range(options.pairs):
            for kept in (model / FOLDER, caches):
                shutil.rmtree(kept, ignore_errors=True)
            cold.append(start(base, caches, photo))
            warm.append(start(base, caches, photo))
            print(f"cold {cold[-1]:.1f} s, warm {warm[-1]:.1f} s", flush=True)
    ratios = {
        "cold_over_30s": [seconds / COLD_SECONDS for seconds in cold],
        "warm_over_10s": [seconds / WARM_SECONDS for seconds in warm],
        "warm_over_cold": [after / before for before, after in zip(cold, warm, strict=True)],
    }
    report("start", ratios, [f"cold {statistics.median(cold):.1f} s, warm {statistics.median(warm):.1f} s (medians)"])


def start(base: Path, caches: Path, photo: bytes) -> float:
    """Return the seconds until a server is ready; then it has answered a photo, and has been stopped."""
    with running(ours(base, XDG_CACHE_HOME=os.fspath(caches)), base, photo) as server:
        return server.seconds_to_ready


if __name__ == "__main__":
    main()

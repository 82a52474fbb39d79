"""Our engine alone: picked as the server picks it, and (e), its bare throughput: no HTTP, no decoding, no batching.

``python -m benchmarks.serving.engine ARTIFACT ENGINE PHOTOS SECONDS OUT``, in a process of its own.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.serving.artifact import photos_in, scaled
from contract.serving import ENGINES
from serving.engines.choice import Chosen, choose
from vision.classifier import load_artifact, load_card


def pick(artifact: Path, wanted: str) -> Chosen:
    """Return the engine that our server would serve the artifact with on this machine."""
    return choose(artifact, load_artifact(artifact), wanted)


def main() -> None:
    """Run batches of the picked size for so many seconds; write photos per second and the pick's facts."""
    artifact, wanted, folder, seconds, out = sys.argv[1:]
    chosen = pick(Path(artifact), wanted)
    spec = load_card(Path(artifact)).preprocessing
    photos = scaled(photos_in(Path(folder)), spec).numpy()  # (N, 3, crop, crop) uint8
    size = max(1, chosen.batch)
    batches = [
        np.ascontiguousarray(np.take(photos, range(i, i + size), axis=0, mode="wrap")) for i in range(len(photos))
    ]
    chosen.engine.logits(batches[0])
    begun, done = time.perf_counter(), 0
    while (took := time.perf_counter() - begun) < float(seconds):
        done += len(chosen.engine.logits(batches[done % len(batches)]))
    name = chosen.engine.name
    # The longest: openvino-int8 begins with openvino.
    kind = max((one for one in ENGINES if name.startswith(one)), key=len)
    said = {"per_second": done / took, "engine": name, "kind": kind, "batch": size, "facts": chosen.facts}
    Path(out).write_text(json.dumps(said, default=str), encoding="utf-8")


if __name__ == "__main__":
    main()

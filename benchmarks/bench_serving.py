"""JPEG in, JSON out, over loopback: photos per second and latency of our model server against others, ResNet50.

Command:   make bench NAME=serving             (5 rounds of all servers in turn, about 30 minutes on 2 cores)
           python -m benchmarks.bench_serving --rounds 1 --seconds 4 --only seed,ours
Baselines: (a) seed: the seed project's handler (Pillow, Resize 256, CenterCrop 224, eager fp32, one request at a time)
           behind a plain threaded server with TCP_NODELAY; (b) litserve: LitServe with batching, eager fp32, raw bytes
           in; (c) torchserve: the same in TorchServe, where it starts; (d) same_engine: LitServe with our engine and
           our decoding; (e) bare: our engine alone, no HTTP and no decoding, the limit.
Ours:      serving.server, started by container.serve on an artifact as a training leaves it, with the quantised network
           in it. The engine is picked once, before, as the server picks it: the fastest here of those that agree with
           the network on the check photos; ours, (d) and (e) run that one. float32: ours without the quantised network.
           The weights are random: that a trained network's int8 agrees is measured elsewhere (docs/results.md).
Ratios:    NAME_cN: our photos per second over NAME's with N clients, each sending a photo as soon as the last is
           answered. latency_c1: our median with one client over (a)'s. p99_queueing_c32: our p99 with 32 clients over
           the ideal queueing time, clients / throughput. One value per round: n is the number of rounds.
Fairness:  the same photos (original test photos), the same machine, one server at a time, order rotated, OpenMP as in
           our container for all; the load client is a process of its own, its share of a core stands in the notes.
Expected:  2 cores, AVX2 only, no GPU: seed_c1 2.5, seed_c8 and seed_c32 4, litserve_c8 and litserve_c32 3.5,
           same_engine_c8 and same_engine_c32 1, bare_c8 and bare_c32 0.8, int8_seed_c32 7 or more each; latency_c1 0.4,
           p99_queueing_c32 1.5 or less. int8_seed_c32 is seed_c32 where int8 is the pick. On a GPU the device is in the
           notes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.record import report
from benchmarks.serving import load
from benchmarks.serving.artifact import DOGS, ROOT, make_artifact, photos_in
from benchmarks.serving.exchanges import Load
from benchmarks.serving.peers import install_peers
from benchmarks.serving.servers import (
    Kind,
    ServerFailedError,
    environment_of,
    litserve,
    ours,
    running,
    same_engine,
    seed,
    torchserve,
)

BARE: Final = "bare"
# Which numbers of clients load which server: those that a ratio is asked for.
CLIENTS: Final[dict[str, tuple[int, ...]]] = {
    "seed": (1, 8, 32),
    "litserve": (8, 32),
    "torchserve": (8, 32),
    "same_engine": (8, 32),
    "ours": (1, 8, 32),
    "float32": (1, 32),
    BARE: (),
}
# A baseline that cannot be had is left out, and the notes say why; all others must run.
OPTIONAL: Final = ("torchserve",)
INT8: Final = "openvino-int8"


@dataclass
class Cell:
    """What one server did with so many clients in one round."""

    per_second: float
    median: float
    p99: float
    client_cpu: float
    failures: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, seen: Load) -> "Cell":
        """Return the figures of a load."""
        return cls(seen.per_second, seen.latency(0.5), seen.latency(0.99), seen.cpu_share, seen.failures)


Round = dict[tuple[str, int], Cell]  # by server and number of clients; the bare engine has 0 clients


@dataclass(frozen=True)
class Bench:
    """What every round needs."""

    scratch: Path
    photos: Path
    seconds: float
    kinds: dict[str, Kind]
    model: Path
    engine: str

    @property
    def photo(self) -> bytes:
        """One photo, for a server's first answer."""
        return photos_in(self.photos)[0].read_bytes()

    def measure(self, name: str) -> Round:
        """Start a server, load it with each number of clients, stop it."""
        if name == BARE:
            said = run_engine(self.model, self.engine, self.photos, self.seconds, self.scratch)
            return {(BARE, 0): Cell(said["per_second"], 0.0, 0.0, 0.0)}
        cells: Round = {}
        with running(self.kinds[name], self.scratch, self.photo) as server:
            for clients in CLIENTS[name]:
                out = self.scratch / "load.json"
                options = ("--path", server.kind.path, "--clients", str(clients), "--seconds", str(self.seconds))
                seen = load.finish(load.start(server.port, self.photos, out, *options), out)
                cells[name, clients] = Cell.of(seen)
                print(f"{name}, {clients} clients: {cells[name, clients].per_second:.1f} photos/s", flush=True)
        return cells


def run_engine(model: Path, engine: str, photos: Path, seconds: float, scratch: Path) -> dict[str, Any]:
    """Run the engine alone, in a process of its own with the server's environment; return what it said."""
    out = scratch / "engine.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.serving.engine",
        str(model),
        engine,
        str(photos),
        str(seconds),
        str(out),
    ]
    subprocess.run(command, cwd=ROOT, env=environment_of(Kind("engine", ()), 0), check=True)
    said: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return said


def main() -> None:
    """Make the artifacts, pick the engine, measure in rounds and report."""
    options = arguments().parse_args()
    with tempfile.TemporaryDirectory(prefix="pedigree-bench-") as temporary:
        scratch = Path(temporary)
        peers = install_peers() if {"litserve", "torchserve", "same_engine"} & set(options.only) else scratch
        base = scratch / "artifact"
        model = make_artifact(base, options.photos)
        photos = options.photos / "test"
        picked = run_engine(model, "auto", photos, 1.0, scratch)
        engine = picked["kind"]
        kinds = {"seed": seed(), "litserve": litserve(peers), "torchserve": torchserve(peers)}
        kinds |= {"ours": ours(base, engine), "same_engine": same_engine(peers, model, engine)}
        kinds["float32"] = ours(base, "openvino")
        notes = [f"engine: {picked['engine']}, batch {picked['batch']}; {json.dumps(picked['facts'], default=str)}"]
        bench = Bench(scratch, photos, options.seconds, kinds, model, engine)
        rounds, left_out = measure_rounds(bench, options.only, options.rounds)
        report("serving", ratios_of(rounds, engine), [*notes, *left_out, *described(rounds), device()])


def measure_rounds(bench: Bench, names: list[str], count: int) -> tuple[list[Round], list[str]]:
    """Measure every server in every round, in rotated order; return the rounds and why servers were left out."""
    rounds: list[Round] = []
    left_out: dict[str, str] = {}
    for number in range(count):
        shift = number % len(names)
        rounds.append({})
        for name in [*names[shift:], *names[:shift]]:
            if name in left_out:
                continue
            try:
                rounds[-1] |= bench.measure(name)
            except ServerFailedError as error:
                if name not in OPTIONAL:
                    raise
                left_out[name] = f"{name} left out from round {number + 1} on: {error}"
    return rounds, list(left_out.values())


def ratios_of(rounds: list[Round], engine: str) -> dict[str, list[float]]:
    """Return each ratio, one value per round in which both its sides were measured; ours run ``engine``."""
    found: dict[str, list[float]] = {}
    for cells in rounds:
        for (name, clients), cell in cells.items():
            if name == "float32":
                if ("seed", clients) in cells:
                    value = cell.per_second / cells["seed", clients].per_second
                    found.setdefault(f"float32_seed_c{clients}", []).append(value)
            elif name == BARE:
                for many in (8, 32):
                    if ("ours", many) in cells:
                        found.setdefault(f"bare_c{many}", []).append(cells["ours", many].per_second / cell.per_second)
            elif name != "ours" and ("ours", clients) in cells:
                value = cells["ours", clients].per_second / cell.per_second
                found.setdefault(f"{name}_c{clients}", []).append(value)
                if (name, clients, engine) == ("seed", 32, INT8):
                    found.setdefault("int8_seed_c32", []).append(value)
        mine = cells.get(("ours", 32))
        if mine is not None:
            found.setdefault("p99_queueing_c32", []).append(mine.p99 / (32 / mine.per_second))
        if ("ours", 1) in cells and ("seed", 1) in cells:
            found.setdefault("latency_c1", []).append(cells["ours", 1].median / cells["seed", 1].median)
    return found


def described(rounds: list[Round]) -> list[str]:
    """Return a line per server and number of clients: medians over the rounds, and every failure."""
    lines = []
    for name, clients in sorted({key for cells in rounds for key in cells}):
        cells = [one[name, clients] for one in rounds if (name, clients) in one]
        per_second = statistics.median(cell.per_second for cell in cells)
        if name == BARE:
            lines.append(f"{name}: {per_second:.1f} photos/s")
            continue
        median, p99 = (statistics.median(getattr(cell, which) for cell in cells) for which in ("median", "p99"))
        client = statistics.median(cell.client_cpu for cell in cells)
        failures = [dict(cell.failures) for cell in cells if cell.failures]
        lines.append(
            f"{name}, {clients} clients: {per_second:.1f} photos/s, p50 {median * 1000:.0f} ms, "
            f"p99 {p99 * 1000:.0f} ms, load client {client:.1%} of a core"
            + (f", NOT ANSWERED WITH 200: {failures}" if failures else "")
        )
    return lines


def device() -> str:
    """Name what ran the network."""
    return f"GPU: {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "no GPU"


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="per server and number of clients")
    parser.add_argument("--only", type=_servers, default=list(CLIENTS), help=f"of {','.join(CLIENTS)}")
    parser.add_argument("--photos", type=Path, default=DOGS, help="a folder with test/, valid/ and train/")
    return parser


def _servers(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in CLIENTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: of {','.join(CLIENTS)} expected")
    return names


if __name__ == "__main__":
    main()

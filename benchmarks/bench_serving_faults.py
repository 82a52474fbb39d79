"""What the model server loses when its model process is killed, when a thousand connect, and when it is told to end.

Command:   make bench NAME=serving_faults     (five rounds, about ten minutes on 2 cores)
Load:      32 clients on ResNet50, each sending a photo as soon as the last is answered; Retry-After is heeded. The
           server is started anew for every fault, as an endpoint is, with the engine kept from the first start.
Crowd:     1,000 clients instead of 32. crowd_memory: the peak of all its processes over the peak with 32.
           crowd_ping_over_2s: the slowest GET /ping, one every 0.2 s on a new connection, over what SageMaker allows.
           crowd_unanswered: requests whose connection ended or that waited a minute, over all; a 503 is an answer.
Kill:      kill -9 of the model process. kill_failed_over_in_flight: requests without a 200 of those sent before and not
           answered yet, over their number. kill_unanswered: of all requests, how many got no answer (a number).
           kill_refused: of those sent afterwards, how many were answered with an error (a number).
           kill_restart_over_10s: until a photo sent after the kill is answered, over 10 s.
End:       SIGTERM. end_lost: of the requests sent before, how many were not answered with 200 (a number).
Expected:  crowd_memory below 1.5, crowd_ping_over_2s below 1, crowd_unanswered 0; kill_failed_over_in_flight at most 1,
           kill_unanswered 0, kill_restart_over_10s below 1; end_lost 0.
"""

import argparse
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.record import report
from benchmarks.serving import load
from benchmarks.serving.artifact import DOGS, make_artifact, photos_in
from benchmarks.serving.exchanges import HUNG, LOST, REFUSED, Exchange, Load
from benchmarks.serving.servers import Running, ours, running

CLIENTS: Final = 32
CROWD: Final = 1000
PING_LIMIT: Final = 2.0  # SageMaker's, for an answer to /ping
PING_EVERY: Final = 0.2
RESTART_LIMIT: Final = 10.0
MEBIBYTE: Final = 2**20
Figures = dict[str, float]


@dataclass(frozen=True)
class Site:
    """Where a round is run, and for how long each of its loads."""

    start: Callable[[], AbstractContextManager[Running]]
    photos: Path
    scratch: Path
    seconds: float

    def client(self, server: Running, clients: int, seconds: float) -> "tuple[subprocess.Popen[bytes], Path]":
        """Start a load client; return it and the file that it will write."""
        out = self.scratch / "load.json"
        more = ("--clients", str(clients), "--seconds", str(seconds), "--warmup", "0")
        return load.start(server.port, self.photos, out, *more), out


def main() -> None:
    """Run all three in every round and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15.0, help="of load before and after each fault")
    parser.add_argument("--photos", type=Path, default=DOGS, help="a folder with test/, valid/ and train/")
    options = parser.parse_args()
    found: dict[str, list[float]] = {}
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="pedigree-bench-") as temporary:
        scratch = Path(temporary)
        make_artifact(scratch, options.photos)
        photo = photos_in(options.photos / "test")[0].read_bytes()
        kind = ours(scratch)
        site = Site(lambda: running(kind, scratch, photo), options.photos / "test", scratch, options.seconds)
        for number in range(options.rounds):
            for part in (crowd, kill, end):
                figures, note = part(site)
                print(f"round {number + 1}, {part.__name__}: {note}", flush=True)
                notes.append(f"round {number + 1}, {part.__name__}: {note}")
                for name, value in figures.items():
                    found.setdefault(name, []).append(value)
    report("serving_faults", found, notes)


def crowd(site: Site) -> tuple[Figures, str]:
    """Load the server with few clients, then with a thousand."""
    with site.start() as server:
        few, _, _ = watched(server, *site.client(server, CLIENTS, site.seconds))
        many, pings, seen = watched(server, *site.client(server, CROWD, site.seconds))
    unanswered = sum(one.status in (LOST, HUNG, REFUSED) for one in seen.exchanges)
    figures = {
        "crowd_memory": many / few,
        "crowd_ping_over_2s": max(pings) / PING_LIMIT,
        "crowd_unanswered": unanswered / len(seen.exchanges),
    }
    return figures, (
        f"peak {few / MEBIBYTE:.0f} MiB with {CLIENTS} clients, {many / MEBIBYTE:.0f} MiB with {CROWD}; /ping median "
        f"{statistics.median(pings) * 1000:.0f} ms, slowest {max(pings) * 1000:.0f} ms of {len(pings)}; "
        f"{len(seen.answered)} photos answered in time, other endings: {seen.failures or 'none'}"
    )


def watched(server: Running, client: "subprocess.Popen[bytes]", out: Path) -> tuple[int, list[float], Load]:
    """Wait for the client; return the server's peak memory meanwhile, the seconds of every ping, and what it saw.

    A ping that is not answered with 200 within twice the limit counts as that long.
    """
    peak, pings = 0, []
    while client.poll() is None:
        begun = time.monotonic()
        healthy = server.ping(patience=2 * PING_LIMIT)
        pings.append(time.monotonic() - begun if healthy else 2 * PING_LIMIT)
        peak = max(peak, server.memory())
        time.sleep(PING_EVERY)
    return peak, pings, load.finish(client, out)


def kill(site: Site) -> tuple[Figures, str]:
    """Kill the model process in the middle of the load."""
    with site.start() as server:
        seen, killed = struck(site, server, server.model_process().kill, 3 * site.seconds)
    return killed_figures(seen, killed)


def killed_figures(seen: Load, killed: float) -> tuple[Figures, str]:
    """Tell what became of the requests under way at ``killed`` (time.monotonic()), and of those after it."""
    waiting = [one for one in seen.exchanges if one.begun <= killed < one.ended]
    failed = [one for one in waiting if one.status != 200]
    later = [one for one in seen.exchanges if one.begun > killed]
    unanswered = sum(one.status in (LOST, HUNG) for one in seen.exchanges)
    refused = sum(one.status not in (200, LOST, HUNG) for one in later)
    again = min((one.ended - killed for one in later if one.status == 200), default=None)
    figures = {
        "kill_failed_over_in_flight": len(failed) / max(1, len(waiting)),
        "kill_unanswered": float(unanswered),
        "kill_refused": float(refused),
        "kill_restart_over_10s": (seen.ended - killed if again is None else again) / RESTART_LIMIT,
    }
    slowest = max((one.ended - killed for one in failed), default=0.0)
    served = "NOT served again by the end" if again is None else f"served again after {again:.1f} s"
    return figures, (
        f"{len(waiting)} in flight, {len(failed)} failed ({statuses(failed)}; within {slowest:.2f} s), {unanswered} "
        f"unanswered; afterwards {refused} of {len(later)} refused, {served}"
    )


def end(site: Site) -> tuple[Figures, str]:
    """Tell the server to end in the middle of the load."""
    with site.start() as server:
        seen, told = struck(site, server, server.process.terminate, 2 * site.seconds)
        code = server.process.wait(60)
    return ended_figures(seen, told, code)


def ended_figures(seen: Load, told: float, code: int) -> tuple[Figures, str]:
    """Tell what became of the requests sent before ``told`` (time.monotonic()), and of those after it."""
    before = [one for one in seen.exchanges if one.begun <= told]
    waiting, lost = [one for one in before if one.ended > told], [one for one in before if one.status != 200]
    after = [one for one in seen.exchanges if one.begun > told and one.status != REFUSED]
    last = max((one.ended - told for one in waiting), default=0.0)
    return {"end_lost": float(len(lost))}, (
        f"{len(waiting)} in flight, {len(lost)} lost ({statuses(lost)}), the last answered after {last:.2f} s; sent "
        f"afterwards on open connections: {statuses(after)}; exit code {code}"
    )


def struck(site: Site, server: Running, strike: Callable[[], None], seconds: float) -> tuple[Load, float]:
    """Load the server for ``seconds``, strike after a third of them, return what was seen and when it was struck."""
    client, out = site.client(server, CLIENTS, seconds)
    struck_at: list[float] = []

    def blow() -> None:
        strike()
        struck_at.append(time.monotonic())

    timer = threading.Timer(seconds / 3, blow)
    timer.start()
    seen = load.finish(client, out)
    timer.join()
    return seen, struck_at[0]


def statuses(exchanges: Sequence[Exchange]) -> str:
    """Say how requests ended, as one line."""
    counted = Load(0.0, 1.0, exchanges, 0.0).failures
    right = sum(one.status == 200 for one in exchanges)
    parts = [f"{status}: {count}" for status, count in ({"200": right} | counted).items() if count]
    return ", ".join(parts) or "none"


if __name__ == "__main__":
    main()

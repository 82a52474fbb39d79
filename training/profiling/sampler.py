"""The machine's load while a training runs, read by a thread of its own a few times a second at most."""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import psutil

from training.profiling.gpu import Gpu

LOG: Final = logging.getLogger(__name__)
# One reading takes 1 to 2 ms, at most 0.2 % of one core.
INTERVAL_SECONDS: Final = 1.0
MOST_SAMPLES: Final = 600


@dataclass(frozen=True)
class Sample:
    """The machine between two readings; None where the system does not tell.

    Attributes:
        at: seconds since the profiler was opened.
        cpu: percent of all cores that computed something, for whichever process.
        io_wait: percent of all cores that had nothing to do because a disk was busy.
        waiting: percent of the time in which the training waited for data.
        memory_bytes: of the training's own process.
        disk_read_bytes_s, disk_write_bytes_s, network_bytes_s: of the whole machine, per second.
        gpu: percent of the time in which the GPU computed.
        gpu_memory_bytes: in use on the GPU.
    """

    at: float
    cpu: float
    io_wait: float | None
    waiting: float
    memory_bytes: int
    disk_read_bytes_s: float | None
    disk_write_bytes_s: float | None
    network_bytes_s: float | None
    gpu: float | None
    gpu_memory_bytes: int | None


class Sampler:
    """Reads until it is stopped. A long training's readings are thinned, so that a list never holds more than 600.

    Args:
        waited: returns for how many seconds the training has waited for data so far.
        gpu: see there.
        interval: seconds between two readings, to begin with.
    """

    def __init__(self, waited: Callable[[], float], gpu: Gpu, interval: float = INTERVAL_SECONDS) -> None:
        self._waited, self._gpu, self._interval = waited, gpu, interval
        self._process = psutil.Process()
        self._began = time.perf_counter()
        self._samples: list[Sample] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="profiler", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def now(self) -> float:
        """Return the seconds that ``Sample.at`` counts."""
        return time.perf_counter() - self._began

    def stop(self) -> tuple[Sample, ...]:
        """Stop reading and return what was read."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        return tuple(self._samples)

    def _run(self) -> None:
        if hasattr(os, "setpriority") and hasattr(threading, "get_native_id") and os.uname().sysname == "Linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)  # Linux: of this thread; the training first
        try:
            before = _Counters.read(self._process, self._waited)
            while not self._stopped.wait(self._interval):
                now = _Counters.read(self._process, self._waited)
                self._samples.append(self._sample(before, now))
                before = now
                if len(self._samples) >= MOST_SAMPLES:
                    del self._samples[::2]
                    self._interval *= 2
        except (psutil.Error, OSError) as error:
            LOG.warning("the machine's load is no longer recorded: %s: %s", type(error).__name__, error)

    def _sample(self, before: "_Counters", now: "_Counters") -> Sample:
        seconds = max(now.at - before.at, 1e-6)
        gpu = self._gpu.read()

        def rate(name: str) -> float | None:
            first, last = getattr(before, name), getattr(now, name)
            return None if first is None or last is None else max(0.0, (last - first) / seconds)

        return Sample(
            at=round(now.at - self._began, 3),
            cpu=now.cpu,
            io_wait=now.io_wait,
            waiting=round(min(100.0, max(0.0, 100 * (now.waited - before.waited) / seconds)), 1),
            memory_bytes=now.memory_bytes,
            disk_read_bytes_s=rate("disk_read"),
            disk_write_bytes_s=rate("disk_written"),
            network_bytes_s=rate("network"),
            gpu=None if gpu is None else gpu.utilisation,
            gpu_memory_bytes=None if gpu is None else gpu.memory_bytes,
        )


@dataclass(frozen=True)
class _Counters:
    """What the system counts up, and its processors' load since the last look."""

    at: float
    waited: float
    cpu: float
    io_wait: float | None
    memory_bytes: int
    disk_read: int | None
    disk_written: int | None
    network: int | None

    @classmethod
    def read(cls, process: psutil.Process, waited: Callable[[], float]) -> "_Counters":
        # Side by side, before the system is asked: what that takes now and then would be taken for time not waited.
        at, waited_so_far = time.perf_counter(), waited()
        times: Any = psutil.cpu_times_percent()
        io_wait = getattr(times, "iowait", None)
        # None on machines and in containers that show no disk or no network.
        disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
        return cls(
            at=at,
            waited=waited_so_far,
            cpu=round(max(0.0, 100 - times.idle - (io_wait or 0)), 1),
            io_wait=io_wait,
            memory_bytes=process.memory_info().rss,
            disk_read=disk.read_bytes if disk else None,
            disk_written=disk.write_bytes if disk else None,
            network=network.bytes_sent + network.bytes_recv if network else None,
        )

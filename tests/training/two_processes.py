"""Starts two processes as torchrun would, on this machine."""

import os
import subprocess
import sys
from pathlib import Path

from torch.distributed import TCPStore  # type: ignore[attr-defined]  # documented, but not in its __all__

ROOT = Path(__file__).parents[2]


def run_two_processes(*arguments: str) -> list[str]:
    """Run ``python ARGUMENTS`` as both processes of a world; return what each printed. Neither may fail."""
    # As torchrun does it: the two meet at a store that listens already, so that nobody else can take its port.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    common = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", *arguments],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=300) for process in processes]
    finally:  # one that waits for the other for ever
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], [errors[-2000:] for _, errors in said]
    return [output for output, _ in said]

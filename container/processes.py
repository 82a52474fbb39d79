"""One process per GPU for the scripts that share their work among processes: torchrun, as SageMaker's toolkit does."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from container.environment import Job

ENABLED: Final = "sagemaker_torch_distributed_enabled"
# The port that SageMaker's toolkit uses between hosts.
_PORT: Final = 7777


@dataclass(frozen=True)
class Start:
    """What starts the script, before its options, and in which environment."""

    command: list[str | Path]
    environment: dict[str, str]


def how_to_start(job: Job, entry_point: Path, environment: dict[str, str]) -> Start:
    """Return how to start the script: by torchrun where the job asks for it and there is more than one GPU.

    A job that does not ask runs once, whatever it runs on: two preparations would write over each other.
    """
    processes = max(1, int(environment["SM_NUM_GPUS"]))
    if job.hyperparameters.get(ENABLED, "").lower() != "true" or processes * len(job.hosts) == 1:
        return Start([sys.executable, entry_point], environment)
    if len(job.hosts) == 1:
        where = ["--standalone"]  # on a free port: several jobs may run on one machine
    else:
        where = [
            f"--nnodes={len(job.hosts)}",
            f"--node-rank={job.hosts.index(job.current_host)}",
            f"--master-addr={job.hosts[0]}",
            f"--master-port={_PORT}",
        ]
    # Else torchrun gives every process one thread, and says so in the log.
    threads = max(1, int(environment["SM_NUM_CPUS"]) // processes)
    torchrun = [sys.executable, "-m", "torch.distributed.run", *where, f"--nproc-per-node={processes}"]
    return Start([*torchrun, entry_point], {"OMP_NUM_THREADS": str(threads), **environment})

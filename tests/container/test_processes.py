"""Which jobs become several processes, and what the user reads when one of them fails."""

import sys
from pathlib import Path

import pytest

from container.environment import Job
from container.failure import error_message
from container.processes import ENABLED, how_to_start

SCRIPT = Path("train_model.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


def started(gpus: int, asked: str = "true", hosts: tuple[str, ...] = ("algo-1",)) -> list[str | Path]:
    job = Job({ENABLED: asked}, (), hosts, hosts[-1])
    return how_to_start(job, SCRIPT, {"SM_NUM_GPUS": str(gpus), "SM_NUM_CPUS": "8"}).command


@pytest.mark.parametrize(("gpus", "asked"), [(0, "true"), (1, "true"), (4, "false"), (4, "")])
def test_one_gpu_or_a_job_that_did_not_ask_is_one_process(gpus: int, asked: str) -> None:
    assert started(gpus, asked) == [sys.executable, SCRIPT]


def test_several_gpus_are_one_process_each() -> None:
    assert started(4) == [*TORCHRUN, "--standalone", "--nproc-per-node=4", SCRIPT]


def test_several_hosts_find_each_other_at_the_first() -> None:
    assert started(2, hosts=("algo-1", "algo-2")) == [
        *TORCHRUN,
        *("--nnodes=2", "--node-rank=1", "--master-addr=algo-1", "--master-port=7777"),
        *("--nproc-per-node=2", SCRIPT),
    ]


def test_the_processes_share_the_cores() -> None:
    job = Job({ENABLED: "true"}, (), ("algo-1",), "algo-1")
    start = how_to_start(job, SCRIPT, {"SM_NUM_GPUS": "4", "SM_NUM_CPUS": "8"})
    assert start.environment["OMP_NUM_THREADS"] == "2"


def test_the_reason_is_that_of_the_process_that_failed_not_torchruns() -> None:
    own = "Traceback (most recent call last):\n  File ...\nValueError: the photo is gone\n"
    torchrun = (
        "W1122 18:44:10.033 1001 torch/distributed/elastic/multiprocessing/api.py:1028] Sending process 1075\n"
        "Traceback (most recent call last):\n  File ...\n"
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n=====\ntrain_model.py FAILED\n"
    )
    assert error_message(own + torchrun) == "ValueError: the photo is gone"


def test_where_no_process_said_anything_torchrun_is_heard() -> None:
    line = "E1122 18:44:10.035 1001 torch/distributed/elastic/multiprocessing/api.py:1002] failed (exitcode: -9)"
    assert error_message(f"{line}\nTraceback (most recent call last):\nChildFailedError: \n====\n") == line

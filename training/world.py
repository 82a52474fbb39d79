"""The processes that train one model together: torchrun starts them, each takes its share of every batch."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class World:
    """This process's place among ``size`` equal ones; the chief is the one that reports and writes."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_chief(self) -> bool:
        """Whether this process reports and writes."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """The GPU of this process, else the CPU."""
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else torch.device("cpu")

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of every process's ``values``, the same on all."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def sum_of(self, *numbers: float, device: torch.device) -> list[float]:
        """Return the sum of every process's numbers; ``device`` is the network's, which the processes talk through."""
        if self.size == 1:
            return list(numbers)
        summed: list[float] = self.sum(torch.tensor(numbers, dtype=torch.float64, device=device)).tolist()
        return summed

    def gather(self, texts: Sequence[str]) -> list[str]:
        """Return every process's texts, each once, sorted."""
        if self.size == 1:
            return sorted(set(texts))
        everyones: list[Sequence[str]] = [()] * self.size
        torch.distributed.all_gather_object(everyones, tuple(texts))
        return sorted({text for each in everyones for text in each})

    def average_gradients_of(self, network: nn.Module) -> nn.Module:
        """Return the network as DistributedDataParallel, starting from the chief's weights; alone, as it is."""
        if self.size == 1:
            return network
        devices = [self.local_rank] if self.device.type == "cuda" else None
        # No buffer changes: batch norm stays in eval mode.
        return nn.parallel.DistributedDataParallel(network, device_ids=devices, broadcast_buffers=False)


ALONE = World()


@contextmanager
def join_world() -> Iterator[World]:
    """Yield the world that torchrun's variables tell of, connected while the context lasts; without them, ALONE."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    world = World(int(os.environ["RANK"]), size, int(os.environ["LOCAL_RANK"]))
    if world.device.type == "cuda":
        torch.cuda.set_device(world.device)
    torch.distributed.init_process_group("nccl" if world.device.type == "cuda" else "gloo")
    try:
        yield world
    finally:
        torch.distributed.destroy_process_group()


@dataclass(frozen=True)
class BatchPlan:
    """How a batch is spread over the processes of a world, and within each over forward passes that fit its memory.

    Attributes:
        batch: photos per optimizer step, over all processes.
        micro_batch: photos at once in each process, a multiple of ``together``.
        world: the processes.
        together: so many neighbours in the order are always in one micro-batch: 2 where they are blended in pairs.
    """

    batch: int
    micro_batch: int
    world: World = ALONE
    together: int = 1

    @property
    def accumulated(self) -> int:
        """Micro-batches per optimizer step, in each process."""
        groups = math.ceil(self.batch / self.together)
        return math.ceil(math.ceil(groups / self.world.size) * self.together / self.micro_batch)

    def steps(self, photos: int) -> int:
        """Return how many optimizer steps one pass over ``photos`` takes."""
        return math.ceil(photos / self.batch)

    def share(self, order: list[int]) -> list[list[int]]:
        """Return this process's micro-batches of ``order``, ``accumulated`` per step; the last ones may be empty.

        Every entry of ``order`` is in exactly one process's share, and every process gets as many micro-batches.
        Where two stay ``together``, entries 2k and 2k + 1 of a batch are entries 2i and 2i + 1 of a micro-batch.
        """
        micro_batches = []
        for start in range(0, len(order), self.batch):
            batch = order[start : start + self.batch]
            groups = [batch[first : first + self.together] for first in range(0, len(batch), self.together)]
            own = [entry for group in groups[self.world.rank :: self.world.size] for entry in group]
            micro_batches += [
                own[part * self.micro_batch : (part + 1) * self.micro_batch] for part in range(self.accumulated)
            ]
        return micro_batches


def plan_batches(batch: int, most_at_once: int, world: World = ALONE, together: int = 1) -> BatchPlan:
    """Spread ``batch`` photos evenly over processes and passes; what is ``together`` stays so, whatever the memory."""
    own = math.ceil(math.ceil(batch / together) / world.size)  # groups
    accumulated = math.ceil(own / max(1, most_at_once // together))
    return BatchPlan(batch, math.ceil(own / accumulated) * together, world, together)

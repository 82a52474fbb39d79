"""What the debugger's hook and the profiler cost a fine-tuning of ResNet50 from layer4 on.

Command:   make bench NAME=debugging        (five rounds of four trainings, about 15 minutes on 2 cores)
Baseline:  the same fine-tuning, in the same round, with neither.
Ours:      hook: the default collections at the default interval; profiler: phases, load and the trace of three steps;
           both. CPU time of all threads (cpu_...) and wall time (wall_...), from the loop's first batch to its end,
           closing included; on cached activations, where steps are shortest and the share of what looks on is largest.
           The weights are random, which takes the same time.
Expected:  below 1.03 each.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.record import report
from container.environment import OPENMP_DEFAULTS
from training.activations import Activations, CachedViews, SourceSettings, TrainedPart
from training.checkpoints import Checkpoints
from training.debugging import NO_DEBUGGER, Debugger, open_debugger
from training.environment import StopSignal, keep_freed_memory
from training.final_training import SAVES
from training.fine_tuning import FineTuner, FineTuning, Tools
from training.profiling.profiler import NO_PROFILER, Profiler
from training.profiling.recording import open_profiler
from training.world import BatchPlan
from vision.backbones import load_backbone
from vision.heads import Head

CLASSES, VALID = 133, 64
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
MakeDebugger = Callable[[Path], Debugger]
MakeProfiler = Callable[[Path], Profiler]
Seconds = tuple[float, float]


def drawn(photos: int, pixels: int) -> Activations:
    """Return what the frozen part might say of photos (N, 1, 1024, h, w), h = pixels / 16, and labels (N,)."""
    generator = torch.Generator().manual_seed(0)
    side = pixels // 16
    values = torch.randn(photos, 1, 1024, side, side, generator=generator).relu()
    return Activations(values.half(), torch.randint(CLASSES, (photos,), generator=generator))


def fine_tune(data: Activations, options: argparse.Namespace, debug: MakeDebugger, profile: MakeProfiler) -> Seconds:
    """Fine-tune once; return the CPU seconds and the wall seconds."""
    backbone = load_backbone("resnet50", weights="none").backbone.to(DEVICE)
    part, plan = TrainedPart(backbone, "layer4"), BatchPlan(options.batch, options.batch)
    valid = Activations(data.values[:VALID], data.labels[:VALID])
    with tempfile.TemporaryDirectory() as folder:
        profiler, debugger = profile(Path(folder)), debug(Path(folder))
        source = CachedViews(data, SourceSettings(plan, 0, 1, profiler=profiler), DEVICE)
        head = Head(backbone.feature_dim, CLASSES).to(DEVICE)
        tuner = FineTuner(part, head, source, valid, FineTuning(1, 1e-5, 1e-4, plan))
        checkpoints = Checkpoints(Path(folder) / "checkpoints", {}, lambda line: None)
        tools = Tools(checkpoints, debugger, StopSignal(), lambda row: None, profiler)
        begun, wall = time.process_time(), time.perf_counter()
        tuner.run(tools, plan.steps(len(data.labels)), 0)
        debugger.close()
        profiler.finish()
        return time.process_time() - begun, time.perf_counter() - wall


def as_a_job() -> None:
    """Start again with the threads' manners of a job, which PyTorch reads when it is imported.

    Threads that wait actively use a core while another one saves tensors, and would count as the hook's.
    """
    missing = {name: value for name, value in OPENMP_DEFAULTS.items() if name not in os.environ}
    if missing:
        os.execve(sys.executable, sys.orig_argv, os.environ | missing)  # noqa: S606  a list, no shell


def main() -> None:
    """Measure in interleaved rounds and report each over the baseline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photos", type=int, default=736, help="as many as ten breeds have; more make ratios smaller")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--pixels", type=int, default=224)
    options = parser.parse_args()
    keep_freed_memory()
    data = drawn(options.photos, options.pixels)
    # The rate of a training of 8 epochs that saves as often as the product's, held for the one epoch measured here.
    interval = max(1, 8 * options.photos // options.batch // SAVES)

    def hook(folder: Path) -> Debugger:
        return open_debugger(folder / "tensors", interval)

    def profiler(folder: Path) -> Profiler:
        return open_profiler(True, folder / "trace.json.gz", DEVICE)

    def no_hook(folder: Path) -> Debugger:
        return NO_DEBUGGER

    def no_profiler(folder: Path) -> Profiler:
        return NO_PROFILER

    kinds: dict[str, tuple[MakeDebugger, MakeProfiler]] = {
        "hook": (hook, no_profiler),
        "profiler": (no_hook, profiler),
        "both": (hook, profiler),
    }
    ratios: dict[str, list[float]] = {}
    fine_tune(data, options, no_hook, no_profiler)  # reserves memory and chooses kernels
    for _ in range(options.rounds):
        cpu, wall = fine_tune(data, options, no_hook, no_profiler)
        for name, (debug, profile) in kinds.items():
            own_cpu, own_wall = fine_tune(data, options, debug, profile)
            ratios.setdefault(f"cpu_{name}", []).append(own_cpu / cpu)
            ratios.setdefault(f"wall_{name}", []).append(own_wall / wall)
    steps = options.photos // options.batch
    report(
        "debugging", ratios, [f"{steps} steps of {options.batch} photos at {options.pixels} px, saved every {interval}"]
    )


if __name__ == "__main__":
    as_a_job()
    main()

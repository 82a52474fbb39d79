"""One step of the fine-tuning: ResNet50 from layer4 on, AdamW, against the same step as it is usually written.

Command:   make bench NAME=train_step      (five pairs of each, about 4 minutes on 2 cores)
Baseline:  eager fp32 in torch's default layout (NCHW) at 224 px: the frozen stages run again in every step, without
           gradients; batch norms in eval mode; the same optimizer. CPU time on a CPU, wall time on a GPU.
Ours:      px224, px128: the step as Pedigree takes it: channels-last, 16 bits where the machine multiplies them
           natively, and, on a CPU, on cached activations of the frozen stages: the share of a step in making the cache
           (3 views for 8 epochs: 3/8 of one frozen pass) is counted in. px128 is against the baseline at 224 px, since
           smaller photos are our choice and not the baseline's; like_for_like_px128 is against 128 px.
           Each means alone, at 224 px: channels_last, cached (fp32, the cache's making not counted), and bf16 with
           channels-last where it is native. The weights are random, which takes the same time.
Expected:  px224 2.5 or more and px128 5.5 or more where bf16 is native; without it, what caching and layout give.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.record import report
from training.activations import TrainedPart
from training.environment import keep_freed_memory
from training.final_training import CACHED_VIEWS
from training.precision import FP32, Precision, choose_precision
from training.trained_network import TrainedNetwork
from vision.backbones import load_backbone
from vision.heads import Head
from vision.precision import precision_name

CLASSES, EPOCHS = 133, 8
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
Step = Callable[[], object]


def network(layout: torch.memory_format, precision: Precision) -> TrainedNetwork:
    """Return ResNet50 cut before layer4, with a head."""
    backbone = load_backbone("resnet50", weights="none").backbone
    backbone.network.to(memory_format=layout).to(DEVICE)
    return TrainedNetwork(TrainedPart(backbone, "layer4", precision), Head(backbone.feature_dim, CLASSES).to(DEVICE))


def frozen_in_nchw(part: TrainedPart, x: Tensor, stages: object) -> Tensor:
    """Run stages without the product's change of layout."""
    for _, modules in stages:  # type: ignore[attr-defined]  # the stages of a backbone
        for module in modules:
            x = module(x)
    return x


def baseline_step(pixels: int, batch: int) -> Step:
    """Return the usual step."""
    trained = network(torch.contiguous_format, FP32)
    photos, labels = drawn(batch, pixels)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=1e-5)

    def step() -> None:
        optimizer.zero_grad()
        with torch.no_grad():
            x = frozen_in_nchw(trained.part, photos, trained.part.frozen)
        logits = trained.head(frozen_in_nchw(trained.part, x, trained.part.trained))
        torch.autograd.backward(nn.functional.cross_entropy(logits, labels))
        optimizer.step()

    return step


def our_step(pixels: int, batch: int, precision: Precision, cached: bool) -> tuple[Step, Step]:
    """Return the product's step, on cached activations or not, and one pass of the frozen stages."""
    trained = network(torch.channels_last, precision)
    photos, labels = drawn(batch, pixels)
    cache = trained.part.run_frozen(photos).half()  # (B, C, h, w), as it is kept
    scaler = precision.scaler()
    optimizer = torch.optim.AdamW(trained.parameters(), lr=1e-5, fused=True)

    def frozen() -> Tensor:
        return trained.part.run_frozen(photos)

    def step() -> None:
        optimizer.zero_grad()
        logits = trained(cache.float() if cached else frozen())
        scaled: Tensor = scaler.scale(nn.functional.cross_entropy(logits, labels))
        torch.autograd.backward(scaled)
        scaler.step(optimizer)
        scaler.update()

    return step, frozen


def drawn(batch: int, pixels: int) -> tuple[Tensor, Tensor]:
    """Return photos (B, 3, pixels, pixels) and labels (B,) of noise."""
    generator = torch.Generator().manual_seed(0)
    photos = torch.randn(batch, 3, pixels, pixels, generator=generator)
    return photos.to(DEVICE), torch.randint(CLASSES, (batch,), generator=generator).to(DEVICE)


def seconds(step: Step) -> float:
    """Return what one step takes: CPU seconds of all threads, or wall seconds on a GPU."""
    if DEVICE.type == "cpu":
        begun = time.process_time()
        step()
        return time.process_time() - begun
    torch.cuda.synchronize()
    begun = time.perf_counter()
    step()
    torch.cuda.synchronize()
    return time.perf_counter() - begun


def main() -> None:
    """Measure in interleaved rounds and report baseline over ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    keep_freed_memory()
    native = choose_precision("auto", DEVICE)
    caches = DEVICE.type == "cpu"
    fp32 = Precision(torch.float32, DEVICE)
    baselines = {pixels: baseline_step(pixels, options.batch) for pixels in (224, 128)}
    ours = {pixels: our_step(pixels, options.batch, native, caches) for pixels in (224, 128)}
    alone = {"channels_last": our_step(224, options.batch, fp32, False)[0]}
    if caches:
        alone["cached"] = our_step(224, options.batch, fp32, True)[0]
    if native.dtype == torch.bfloat16:
        alone["bf16"] = our_step(224, options.batch, native, False)[0]
    everything = [*baselines.values(), *(each for pair in ours.values() for each in pair), *alone.values()]
    for step in everything:  # the first of each reserves memory and chooses kernels
        step()
    ratios: dict[str, list[float]] = {}
    for _ in range(options.pairs):
        usual = {pixels: seconds(step) for pixels, step in baselines.items()}
        for pixels, (step, frozen) in ours.items():
            taken = seconds(step) + (seconds(frozen) * CACHED_VIEWS / EPOCHS if caches else 0)
            ratios.setdefault(f"px{pixels}", []).append(usual[224] / taken)
            if pixels != 224:
                ratios.setdefault(f"like_for_like_px{pixels}", []).append(usual[pixels] / taken)
        for name, step in alone.items():
            ratios.setdefault(name, []).append(usual[224] / seconds(step))
    bf16 = "native" if native.dtype == torch.bfloat16 else "not native here, so neither used nor measured"
    where = torch.cuda.get_device_name() if DEVICE.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    report(
        "train_step",
        ratios,
        [f"batch {options.batch} on {where}, in {precision_name(native.dtype)}; bf16 is {bf16}"],
    )


if __name__ == "__main__":
    main()

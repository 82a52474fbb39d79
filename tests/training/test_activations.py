from pathlib import Path

import pytest
import torch

from training.activations import (
    Activations,
    CachedViews,
    FreshViews,
    SourceSettings,
    TrainedPart,
    run_frozen_over,
)
from training.environment import Interrupted, StopSignal
from training.mixing import Mixing
from training.photo_set import PhotoReader, PhotoSet, open_photo_set
from training.world import BatchPlan, World, plan_batches
from vision.backbones import load_backbone

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def part() -> TrainedPart:
    return TrainedPart(load_backbone("efficientnet_lite0", weights="none").backbone, "blocks.6")


@pytest.fixture
def photos(prepared: Path) -> PhotoSet:
    return open_photo_set(prepared)


def test_frozen_and_trained_part_are_the_backbone(part: TrainedPart) -> None:
    photos = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(part.run_trained(part.run_frozen(photos)), part.backbone(photos))


def test_only_the_trained_part_has_parameters_to_train(part: TrainedPart) -> None:
    trained = sum(parameter.numel() for parameter in part.parameters)
    assert 0 < trained < sum(parameter.numel() for parameter in part.backbone.parameters())


def test_cached_epochs_show_every_photo_once_and_all_views_in_turn() -> None:
    values = torch.arange(10 * 3).view(10, 3, 1, 1, 1)  # photo * 3 + view
    source = CachedViews(Activations(values.half(), torch.arange(10)), SourceSettings(BatchPlan(4, 4), 0, 3), CPU)
    views = []
    for epoch in (1, 2, 3):
        batches = list(source.batches(epoch))
        assert [len(batch.labels) for batch in batches] == [4, 4, 2]
        labels = torch.cat([batch.labels for batch in batches])
        seen = torch.cat([batch.values for batch in batches]).flatten().long()
        assert sorted(labels.tolist()) == list(range(10))
        assert torch.equal(seen // 3, labels)
        views.append((seen % 3)[labels.argsort()])
    assert torch.stack(views).sort(dim=0).values.T.tolist() == [[0, 1, 2]] * 10


def test_an_epoch_is_the_same_again_after_a_restart_and_unlike_the_next() -> None:
    source = CachedViews(
        Activations(torch.zeros(20, 1, 1, 1, 1), torch.arange(20)), SourceSettings(BatchPlan(20, 20), 0, 1), CPU
    )
    one, again, other = (next(source.batches(epoch)).labels.tolist() for epoch in (1, 1, 2))
    assert one == again != other


def test_fresh_views_augment_anew_in_every_epoch(part: TrainedPart, photos: PhotoSet) -> None:
    source = FreshViews(
        part, photos.splits["valid"], PhotoReader(photos.directory), SourceSettings(BatchPlan(4, 4), 0, 0)
    )
    one, again, other = (list(source.batches(epoch)) for epoch in (1, 1, 2))
    assert [len(batch.labels) for batch in one] == [4, 2]
    assert all(torch.equal(a.values, b.values) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0].values, other[0].values)


def blended(part: TrainedPart, photos: PhotoSet, plans: list[BatchPlan]) -> list[list[tuple[torch.Tensor, ...]]]:
    """Return per step the frozen part's outputs and the targets of all processes' shares, in an order of their own."""
    steps: list[list[tuple[torch.Tensor, ...]]] = [[] for _ in range(plans[0].steps(len(photos.splits["train"])))]
    for plan in plans:
        settings = SourceSettings(plan, 0, 0, mixing=Mixing(0.4, 1.0, 2))
        source = FreshViews(part, photos.splits["train"], PhotoReader(photos.directory), settings)
        for number, batch in enumerate(source.batches(1)):
            if len(batch.labels):
                assert batch.targets is not None
                steps[number // plan.accumulated] += zip(batch.values, batch.targets, strict=True)
    return [sorted(step, key=lambda pair: float(pair[0].double().sum())) for step in steps]


@pytest.mark.parametrize("broken", [0, 1])
@pytest.mark.parametrize(("at_once", "processes"), [(1, 1), (3, 1), (7, 1), (2, 2), (100, 2), (4, 3)])
def test_photos_are_blended_the_same_whatever_fits_into_memory_and_however_many_share_the_batch(
    photos: PhotoSet, at_once: int, processes: int, broken: int
) -> None:
    part = TrainedPart(load_backbone("efficientnet_lite0", weights="none").backbone, "blocks.0")
    for photo in list(photos.splits["train"])[:broken]:
        photo.path.write_bytes(b"damaged")
    whole = [plan_batches(7, 100, together=2)]
    parts = [plan_batches(7, at_once, World(rank, processes), together=2) for rank in range(processes)]
    assert parts[0].micro_batch <= max(2, at_once)
    expected, found = blended(part, photos, whole), blended(part, photos, parts)
    assert [len(step) for step in found] == [len(step) for step in expected]
    pairs = [pair for steps in zip(expected, found, strict=True) for pair in zip(*steps, strict=True)]
    assert any(float(targets.max()) < 1 for (_, targets), _ in pairs)
    for (values, targets), (other_values, other_targets) in pairs:
        assert torch.equal(targets, other_targets)
        assert torch.allclose(values, other_values, atol=1e-4)


def test_the_first_cached_view_is_what_serving_would_see(part: TrainedPart, photos: PhotoSet) -> None:
    reader = PhotoReader(photos.directory)
    cache = run_frozen_over(part, photos.splits["valid"], reader, SourceSettings(BatchPlan(4, 4), 0, 2), StopSignal())
    assert cache.values.shape[:2] == (6, 2)
    image = reader.read(photos.splits["valid"][0])
    assert image is not None
    expected = part.run_frozen(part.backbone.preprocessing.apply(image).unsqueeze(0))[0]
    assert torch.allclose(cache.values[0, 0].float(), expected, rtol=2e-3, atol=1e-2)


def test_a_stop_is_answered_while_the_frozen_part_runs(part: TrainedPart, photos: PhotoSet) -> None:
    stop, one_view = StopSignal(), SourceSettings(BatchPlan(4, 4), 0, 1)
    stop._received = True
    with pytest.raises(Interrupted):
        run_frozen_over(part, photos.splits["valid"], PhotoReader(photos.directory), one_view, stop)

import pytest
from torch import nn

from contract.recipe import Recipe
from training import trained_network
from training.activations import TrainedPart
from training.environment import JobInputError
from training.trained_network import Average, most_at_once
from vision.backbones import load_backbone
from vision.heads import Head


def network(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def test_the_average_follows_the_weights_and_is_in_place_only_for_a_while() -> None:
    layer = network(0.0)
    average = Average(layer, 0.5)
    nn.init.constant_(layer.weight, 1.0)
    average.update()
    with average.in_place():
        assert float(layer.weight.detach()) == pytest.approx(1 - 2 / 11)  # early steps: (1 + 1) / (10 + 1) stays
    assert float(layer.weight.detach()) == 1.0


def test_a_restored_average_goes_on_where_it_was() -> None:
    layer = network(0.0)
    one, other = Average(layer, 0.9), Average(network(5.0), 0.9)
    nn.init.constant_(layer.weight, 1.0)
    one.update()
    other.load_state_dict(one.state_dict())
    assert other.state_dict() == one.state_dict()


def test_without_decay_the_weights_are_their_own_average() -> None:
    layer = network(3.0)
    average = Average(layer, 0.0)
    average.update()
    with average.in_place():
        assert float(layer.weight.detach()) == 3.0
    assert average.state_dict()["weights"] == {}


def test_less_memory_or_more_trained_stages_allow_fewer_photos_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = load_backbone("efficientnet_lite0", weights="none").backbone
    head = Head(1280, 3)
    last, usual, more = (most_at_once(TrainedPart(backbone, stage), head) for stage in ("head", "blocks.6", "blocks.4"))
    assert more < usual < last
    assert usual >= Recipe().fine_tune_batch  # one pass, as far as the backbone is trained by default
    monkeypatch.setattr(trained_network, "MEMORY_ON_CPU", 2**20)
    assert most_at_once(TrainedPart(backbone, "blocks.4"), head) == 1


@pytest.mark.parametrize("stage", ["layer4", "pool"])
def test_a_stage_that_cannot_be_trained_is_refused_with_those_that_can(stage: str) -> None:
    backbone = load_backbone("efficientnet_lite0", weights="none").backbone
    with pytest.raises(JobInputError, match=f"no stage '{stage}' to train: one of stem, .*blocks.6, head expected"):
        TrainedPart(backbone, stage)

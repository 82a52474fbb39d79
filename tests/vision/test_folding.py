import pytest
import torch
from torch import nn

from vision.backbones import BACKBONES, load_backbone
from vision.folding import folded


@pytest.mark.parametrize("name", BACKBONES)
def test_a_folded_network_says_the_same_without_batch_norms(name: str) -> None:
    network = load_backbone(name, weights="none").backbone.network
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():  # as after training: statistics that do something
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    photos = torch.randn(2, 3, 96, 96, generator=generator)
    with torch.inference_mode():
        expected = network(photos)
        found = folded(network)(photos)
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded(network).modules())


def test_folding_leaves_the_network_itself_as_it_was() -> None:
    network = load_backbone("efficientnet_lite0", weights="none").backbone.network
    before = {key: value.clone() for key, value in network.state_dict().items()}
    folded(network)
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())

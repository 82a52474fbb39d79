import pytest
import torch

from vision.heads import Head


@pytest.fixture
def features() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(50, 6, generator=generator) * torch.tensor([1, 5, 0.1, 2, 0, 1]) + 3


def test_the_folded_head_computes_the_same_logits(features: torch.Tensor) -> None:
    head = Head(6, 3)
    torch.nn.init.normal_(head.linear.weight, generator=torch.Generator().manual_seed(1))
    head.standardise_on(features)
    assert torch.allclose(head(features), head.folded()(features), atol=1e-4)


def test_a_new_head_holds_all_classes_for_equally_probable(features: torch.Tensor) -> None:
    assert torch.equal(Head(6, 4)(features), torch.zeros(50, 4))


def test_a_feature_that_never_varied_does_not_explode(features: torch.Tensor) -> None:
    head = Head(6, 3)
    head.standardise_on(features)
    surprise = features[:1].clone()
    surprise[0, 4] += 1
    assert ((surprise - head.mean) / head.std).abs().max() < 50


def test_a_single_photo_can_be_standardised_on(features: torch.Tensor) -> None:
    head = Head(6, 3)
    with pytest.warns(UserWarning, match="degrees of freedom"):
        head.standardise_on(features[:1])
    assert torch.isfinite(head(features)).all()

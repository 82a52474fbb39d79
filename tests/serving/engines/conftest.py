"""A small artifact, and engines that do what a test says."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from contract.classes import Classes
from serving.engines.base import Engine
from vision.backbones import Backbone
from vision.check_photos import Logits, Photos
from vision.classifier import Classifier, LoadedModel
from vision.preprocessing import Preprocessing

CROP = 16
CLASSES = Classes(("001.Ash", "002.Bay", "003.Coal", "004.Dun"))


@pytest.fixture
def model() -> LoadedModel:
    """Return a network of two layers, whose batch norm really changes something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        norm = nn.BatchNorm2d(8)
        norm.running_mean, norm.running_var = torch.randn(8), torch.rand(8) + 0.5
        network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
        spec = Preprocessing(CROP, CROP, (0.5, 0.4, 0.3), (0.5, 0.6, 0.7), "bilinear")
        backbone = Backbone("small", network, [("all", list(network))], 8, spec)
        classifier = Classifier(backbone, nn.Linear(8, len(CLASSES))).eval()
    return LoadedModel(classifier, CLASSES, spec, {})


@pytest.fixture
def photos() -> Photos:
    """Return photos (5, 3, CROP, CROP)."""
    return np.random.default_rng(1).integers(0, 256, (5, 3, CROP, CROP), dtype=np.uint8)


def eager_logits(model: LoadedModel, photos: Photos) -> Logits:
    """Return the logits (N, classes) as the training evaluates: unfolded, normalised outside of the network."""
    with torch.inference_mode():
        logits: Logits = model.classifier(model.preprocessing.normalise(torch.from_numpy(photos))).numpy()
    return logits


@dataclass
class FakeEngine:
    """Answers with what it is given."""

    name: str
    answer: Callable[[Photos], Logits]

    def logits(self, photos: Photos) -> Logits:
        return self.answer(photos)


@dataclass
class FakeBuilder:
    """Builds a FakeEngine, counts how often, and knows whether those made are still there."""

    name: str
    answer: Callable[[Photos], Logits]
    kind: str = "fake"
    built: int = 0
    made: list[weakref.ref[FakeEngine]] = field(default_factory=list)

    def build(self, model: LoadedModel, directory: Path, cache: Path | None) -> Engine:
        del model, directory, cache
        self.built += 1
        engine = FakeEngine(self.name, self.answer)
        self.made.append(weakref.ref(engine))
        return engine

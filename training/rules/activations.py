"""Rules that look at activation functions: nodes that no gradient gets through any more learn nothing."""

import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contract.findings import Finding, Severity
from training.rules.base import TensorRule, Trial

# Below this many photos a node that answers to few of them cannot be told from a dead one; the last batch of an epoch
# may be one photo. Several saved steps are then looked at together.
FEWEST_PHOTOS: Final = 16
# At this share nothing at all gets through: what lies before the layer cannot learn, whatever comes.
WHOLE_LAYER: Final = 100.0

Values = NDArray[Any]


class _ActivationRule(TensorRule):
    """Looks at the values of one layer over the latest photos, at least ``FEWEST_PHOTOS`` of them."""

    def __init__(self, base_trial: Trial, tensor_regex: str, threshold_inactivity: float, threshold_layer: float):
        super().__init__(base_trial)
        # AWS separates expressions by commas.
        self._tensor_regex = "|".join(part.strip() for part in tensor_regex.split(","))
        self._threshold_inactivity, self._threshold_layer = threshold_inactivity, threshold_layer
        self._latest: dict[str, Values] = {}

    def _layers(self, step: int) -> Iterator[tuple[str, Values]]:
        """Yield name and values (rows, nodes) of every layer saved at a training step, finite ones only."""
        if not self.is_training(step):
            return
        for name in self.names("", step, self._tensor_regex):
            value = self.value(name, step)
            if value is None or value.ndim < 2 or not np.isfinite(value).all():
                continue  # infinite ones are ExplodingTensor's
            rows = np.moveaxis(value, 1, -1).reshape(-1, value.shape[1])  # (photos * positions, nodes)
            before = self._latest.get(name)
            if before is not None and len(rows) < FEWEST_PHOTOS:
                rows = np.concatenate([before, rows])[-FEWEST_PHOTOS:]
            self._latest[name] = rows
            if len(rows) >= FEWEST_PHOTOS:
                yield name, rows

    def _inactive(self, active: NDArray[np.bool_]) -> float:
        """Return the percentage of nodes that are active in less than ``threshold_inactivity`` percent of the rows."""
        share = active.mean(axis=0) * 100  # (nodes,)
        return float((share < self._threshold_inactivity).mean() * 100)


class DeadRelu(_ActivationRule):
    """More than ``threshold_layer`` percent of a layer's ReLUs are dead: active in hardly any photo.

    Measured on 90 photos of dogs (EfficientNet-Lite0, ImageNet weights), at AWS's thresholds: 0.4 to 36 % of a layer's
    nodes are hardly ever above 0 at single positions, and fewer anywhere in a photo, which is what the hook saves.

    Args:
        base_trial: the trial.
        tensor_regex: outputs of ReLUs (AWS: none given, and its collection takes ``.*relu_output``).
        threshold_inactivity: percent of the photos.
        threshold_layer: percent of the nodes.
    """

    def __init__(
        self,
        base_trial: Trial,
        tensor_regex: str = r".*relu_output",
        threshold_inactivity: float = 1.0,
        threshold_layer: float = 50.0,
    ) -> None:
        super().__init__(base_trial, tensor_regex, threshold_inactivity, threshold_layer)

    def look(self, step: int) -> Finding | None:
        """Return the layer with the most dead nodes, if it has too many."""
        layers = [(self._inactive(rows > 0), name, len(rows)) for name, rows in self._layers(step)]
        dead, name, rows = max(layers, default=(0.0, "", 0))
        if dead <= self._threshold_layer:
            return None
        too_many = sum(share > self._threshold_layer for share, _, _ in layers)
        return self.found(
            step,
            Severity.ERROR if dead >= WHOLE_LAYER else Severity.WARNING,
            f"{dead:.0f} % of the nodes of {name} answered with 0 to {100 - self._threshold_inactivity:g} % or more of "
            f"{rows} photos; {too_many} of {len(layers)} ReLU layers have over {self._threshold_layer:g} % such nodes.",
            "A ReLU that never answers passes no gradient back: it stays dead, and what it could have told is lost.",
            "Lower the learning rate (backbone_lr) and start again: one step that is too large pushes biases below 0 "
            "for good. Where it was so at the first step already, the weights that the training starts from do it.",
        )


class SaturatedActivation(_ActivationRule):
    """More than ``threshold_layer`` percent of a layer's nodes are saturated: their inputs lie where the slope is 0.

    ReLU6, EfficientNet-Lite0's activation function, is flat above 6 as tanh is far from 0; AWS's rule does not know it.
    Measured there on 90 photos of dogs: no node of any layer is above 6 in 99 % of the photos.

    Args:
        base_trial: the trial.
        tensor_regex: inputs of activation functions, told apart by tanh, sigmoid or relu6 in their names.
        threshold_tanh: the least and the greatest input of tanh with a slope above 1e-7.
        threshold_sigmoid: the same of the sigmoid.
        threshold_relu6: the least and the greatest input of ReLU6 that do not count: below 0 is DeadRelu's.
        threshold_inactivity: percent of the photos in which a node must lie between.
        threshold_layer: percent of the nodes.
    """

    def __init__(
        self,
        base_trial: Trial,
        tensor_regex: str = r".*tanh_input, .*sigmoid_input, .*relu6_input",
        threshold_tanh: tuple[float, float] = (-9.4999, 9.4999),
        threshold_sigmoid: tuple[float, float] = (-23.0, 16.99999),
        threshold_relu6: tuple[float, float] = (-np.inf, 6.0),
        threshold_inactivity: float = 1.0,
        threshold_layer: float = 50.0,
    ) -> None:
        super().__init__(base_trial, tensor_regex, threshold_inactivity, threshold_layer)
        self._ranges = {"tanh": threshold_tanh, "sigmoid": threshold_sigmoid, "relu6": threshold_relu6}

    def look(self, step: int) -> Finding | None:
        """Return the layer with the most saturated nodes, if it has too many."""
        layers = []
        for name, rows in self._layers(step):
            kind = re.search("|".join(self._ranges), name)
            low, high = self._ranges[kind.group() if kind else "tanh"]
            layers.append((self._inactive((rows > low) & (rows < high)), name, low, high, rows))
        if not layers:
            return None
        share, name, low, high, rows = max(layers, key=lambda layer: layer[0])
        if share <= self._threshold_layer:
            return None
        return self.found(
            step,
            Severity.WARNING,
            f"{share:.0f} % of the nodes of {name} had inputs outside {low:g} to {high:g} in at least "
            f"{100 - self._threshold_inactivity:g} % of {len(rows)} photos (median input {np.median(rows):.3g}).",
            "There the function is flat: these nodes answer the same to every photo and pass no gradient back.",
            "Lower the learning rate (backbone_lr), or start from weights of the scale that the network was made for.",
        )

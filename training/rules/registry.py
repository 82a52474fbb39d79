"""All rules of tensors, by AWS's name; importing it imports smdebug."""

from collections.abc import Callable
from typing import Final

from training.rules.base import TensorRule, Trial

RULES: Final[dict[str, Callable[[Trial], TensorRule]]] = {}

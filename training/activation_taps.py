"""Takes from a running network what goes into its activation functions and what comes out of its ReLUs."""

from collections.abc import Iterator
from typing import Any, Final

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

# As smdebug and AWS's rules name them.
_KINDS: Final[dict[type[nn.Module], str]] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
}
# Enough to see how many nodes never answer; with 13 layers of float32 about 850 KB.
_PHOTOS: Final = 64
_NODES: Final = 256


class ActivationTaps:
    """Hooks on the activation functions of one network, which copy a little of what passes while ``listening``."""

    def __init__(self) -> None:
        self.listening = False
        self._handles: list[RemovableHandle] = []
        self._taken: dict[str, Tensor] = {}

    def attach(self, network: nn.Module, name: str) -> None:
        """Listen at a network's activation functions, instead of another one's."""
        self.remove()
        for path, module in network.named_modules():
            kind = _KINDS.get(type(module))
            if kind is not None:
                self._tap(module, f"{name}_{path}_{kind}" if path else f"{name}_{kind}", kind == "relu")

    def remove(self) -> None:
        """Leave the network as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._taken.clear()
        self.listening = False

    def taken(self) -> Iterator[tuple[str, Tensor]]:
        """Yield what was copied since the last time: names and (photos, nodes)."""
        taken, self._taken = self._taken, {}
        yield from taken.items()

    def _tap(self, module: nn.Module, name: str, outputs: bool) -> None:
        def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            # Before the function runs: it may work in place.
            if self.listening and inputs:
                self._take(f"{name}_input", inputs[0])
                if isinstance(module, nn.ReLU6):
                    self._take(f"{name}6_input", inputs[0], least=True)

        def after(_: nn.Module, __: Any, output: Any) -> None:
            if self.listening:
                self._take(f"{name}_output", output)

        self._handles.append(module.register_forward_pre_hook(before))
        if outputs:
            self._handles.append(module.register_forward_hook(after))

    def _take(self, name: str, value: Any, *, least: bool = False) -> None:
        if not isinstance(value, Tensor) or value.dim() < 2:
            return
        times = 0  # ResNet's blocks call one ReLU three times
        while f"{name}_{times}" in self._taken:
            times += 1
        rows = value.detach()[:_PHOTOS]  # (photos, nodes, ...)
        if rows.dim() > 2:
            rows = rows.flatten(2).amin(dim=2) if least else rows.flatten(2).amax(dim=2)  # (photos, nodes)
        self._taken[f"{name}_{times}"] = rows[:, :: -(-rows.shape[1] // _NODES)].float().clone()

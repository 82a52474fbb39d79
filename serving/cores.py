"""What a process may compute on."""

import os
from typing import Final

_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def devices() -> list[dict[str, str]]:
    """Return, for each device, the environment in which a process sees no other; without a GPU, one for the CPU."""
    import torch  # here: whoever asks for cores alone need not load it

    count = torch.cuda.device_count()  # asks the driver, and leaves nothing on a GPU
    names = [name.strip() for name in os.environ.get(_VISIBLE, "").split(",") if name.strip()]
    return [{_VISIBLE: names[i] if i < len(names) else str(i)} for i in range(count)] or [{}]

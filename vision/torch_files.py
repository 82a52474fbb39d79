"""Reading files of PyTorch that may be damaged, or no such files at all."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, Final

import torch

# What torch.load raises on damaged files, found by feeding it damaged files.
_DAMAGED: Final = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
)


class TorchFileError(ValueError):
    """A file that holds nothing that PyTorch can read."""


def load_tensors(source: Path | bytes) -> Any:
    """Return what ``torch.save`` wrote, on the CPU: tensors and plain values only, no code is run.

    Raises:
        TorchFileError: it is damaged or no file of PyTorch.
        FileNotFoundError: there is no such file.
    """
    data = source.read_bytes() if isinstance(source, Path) else source
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise TorchFileError(f"no file of PyTorch tensors, or a damaged one ({len(data):,} bytes): {reason}") from error

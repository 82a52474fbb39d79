"""What the front and a model process say to each other: a line of JSON and an array, over a socket pair."""

import asyncio
import json
import struct
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

# Bytes of the JSON, bytes of the array.
_LENGTHS: Final = struct.Struct("!II")

Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What a model process is told at its start.

    Attributes:
        directory: the artifact.
        engine: one of ``contract.serving.ENGINES``.
        socket: descriptor of its end of the socket pair.
        memory: descriptor of the shared memory.
        slots, crop: how many photos are in it, and how large each is.
        loader: MODULE:FUNCTION that returns a ``serving.loading.Loaded`` for directory and engine.
    """

    directory: str
    engine: str
    socket: int
    memory: int
    slots: int
    crop: int
    loader: str

    def as_argument(self) -> str:
        """Return it as one command line argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_argument(cls, argument: str) -> "Launch":
        """Return what ``as_argument`` wrote."""
        return cls(**json.loads(argument))


@dataclass(frozen=True)
class Message:
    """One question or answer: what it is, what else it says, and an array."""

    kind: str
    fields: dict[str, Any]
    array: Array = field(default_factory=lambda: np.empty(0, np.float32))

    def encode(self) -> bytes:
        """Return the bytes that go over the socket."""
        head = json.dumps({"kind": self.kind, "shape": self.array.shape, "fields": self.fields}).encode()
        values = np.ascontiguousarray(self.array, np.float32).tobytes()
        return _LENGTHS.pack(len(head), len(values)) + head + values

    @classmethod
    def _decode(cls, head: bytes, values: bytes) -> "Message":
        said = json.loads(head)
        return cls(said["kind"], said["fields"], np.frombuffer(bytearray(values), np.float32).reshape(said["shape"]))

    @classmethod
    async def receive(cls, reader: asyncio.StreamReader) -> "Message":
        """Return the next message.

        Raises:
            asyncio.IncompleteReadError, OSError: the other side is gone.
        """
        head, values = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        return cls._decode(await reader.readexactly(head), await reader.readexactly(values))

    @classmethod
    def read(cls, file: BinaryIO) -> "Message | None":
        """Return the next message, or None when the other side has closed."""
        lengths = file.read(_LENGTHS.size)
        if len(lengths) < _LENGTHS.size:
            return None
        head, values = _LENGTHS.unpack(lengths)
        return cls._decode(file.read(head), file.read(values))

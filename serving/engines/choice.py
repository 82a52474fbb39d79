"""Which engine serves: the fastest here of those that answer as the network was trained to."""

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from contract.serving import ENGINES
from serving.engines.agreement import (
    Reference,
    checked_logits,
    load_reference,
    synthetic_photos,
)
from serving.engines.base import Engine, EngineBuilder, EngineUnavailableError
from serving.engines.cache import EngineCache, cache_key, engines_folder, opened
from serving.engines.compiled import CompiledBuilder
from serving.engines.cuda import CudaBuilder
from serving.engines.eager import EagerBuilder
from serving.engines.measurement import Rates, measure, score, worthwhile_batch
from serving.engines.openvino import Int8Builder, OpenVinoBuilder
from serving.logs import logger
from vision.check_photos import Agreement, Logits, Photos
from vision.classifier import LoadedModel

AUTO: Final = ENGINES[0]
_EAGER: Final = EagerBuilder.kind
# Photos at once that are tried: on a CPU more never gained anything, on a GPU throughput grows for long.
_CPU_SIZES: Final = (1, 2, 4, 8)
_GPU_SIZES: Final = (1, 4, 16, 32, 64)
# With these an engine is tried and, when it is built again, recognised.
_PROBE_PHOTOS: Final = 2
# How much a probability of the probe may differ after a restart: int8 and bfloat16 kernels may be chosen anew.
_SAME: Final = 0.02


@dataclass(frozen=True)
class Chosen:
    """An engine ready to serve.

    Attributes:
        engine: the pick.
        batch: so many photos at once are enough; with more the throughput hardly grows.
        facts: how it came to be picked, as plain JSON values.
    """

    engine: Engine
    batch: int
    facts: dict[str, Any]


@dataclass
class Candidate:
    """What is known of one engine so far."""

    builder: EngineBuilder
    engine: Engine | None = None
    build_seconds: float = 0.0
    probe: Logits | None = None  # (_PROBE_PHOTOS, classes)
    rates: Rates = field(default_factory=dict)
    agreement: Agreement | None = None
    refused: str | None = None

    def refuse(self, reason: str) -> None:
        """Free the engine, and keep why."""
        self.engine, self.refused = None, reason
        logger.warning("engine %s is refused: %s", self.builder.name, reason)

    def facts(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        facts: dict[str, Any] = {"name": self.builder.name, "build_seconds": round(self.build_seconds, 2)}
        if self.rates:
            facts["photos_per_second"] = {str(size): round(rate, 2) for size, rate in self.rates.items()}
        if self.agreement is not None:
            facts["top1_changed"] = round(self.agreement.top1_changed, 5)
            facts["moved"] = round(self.agreement.moved, 5)
            facts["largest_difference"] = round(self.agreement.largest_difference, 6)
        return facts | ({} if self.refused is None else {"refused": self.refused})


def builders_for(wanted: str) -> list[EngineBuilder]:
    """Return what can be tried here, the simplest first; ``compiled`` only where it is asked for.

    Compiling takes minutes where OpenVINO takes seconds (docs/decisions/0010-engines.md).

    Raises:
        EngineUnavailableError: there is no engine of this name.
    """
    if wanted not in ENGINES:
        raise EngineUnavailableError(f"unknown engine {wanted!r}: one of {', '.join(ENGINES)} expected")
    gpu: list[EngineBuilder] = [CudaBuilder(torch.float16), CudaBuilder(torch.bfloat16)]
    cpu: list[EngineBuilder] = [OpenVinoBuilder(), OpenVinoBuilder(torch.bfloat16), Int8Builder()]
    if wanted == AUTO:  # next to a GPU the CPU's engines are not worth their start
        return [EagerBuilder(), *(gpu if torch.cuda.is_available() else cpu)]
    every: list[EngineBuilder] = [EagerBuilder(), CompiledBuilder(), *cpu, *gpu]
    return [builder for builder in every if builder.kind == wanted]


def choose(directory: Path, model: LoadedModel, wanted: str = AUTO, cache: Path | None = None) -> Chosen:
    """Return the engine for the artifact in ``directory``, loaded as ``model``.

    Args:
        directory: the artifact.
        model: what it holds; it stays as it is.
        wanted: one of ``contract.serving.ENGINES``; any but auto is used, or it is an error.
        cache: a folder for engines; None: the artifact's, else the user's.

    Raises:
        EngineUnavailableError: the wanted engine cannot run here, or answers otherwise than the network was trained to.
    """
    start = time.monotonic()
    builders = builders_for(wanted)
    root = cache if cache is not None else engines_folder(directory)
    with opened(root, cache_key(directory)) as kept:
        selection = Selection(directory, model, builders, kept)
        chosen = selection.again(wanted) or selection.anew(wanted)
    chosen.facts["seconds"] = round(time.monotonic() - start, 2)
    logger.info("engine chosen", extra={"fields": {"engine": chosen.facts}})
    return chosen


class Selection:
    """One choice among ``builders`` for one artifact."""

    def __init__(
        self, directory: Path, model: LoadedModel, builders: Sequence[EngineBuilder], cache: EngineCache
    ) -> None:
        self._directory = directory
        self._model = model
        self._builders = builders
        self._cache = cache
        self._probe: Photos = synthetic_photos(_PROBE_PHOTOS, model.preprocessing.crop)

    def again(self, wanted: str) -> Chosen | None:
        """Return what was picked before, if it can be built and answers as it did then."""
        record = self._cache.take(wanted)
        if record is None:
            return None
        try:
            [builder] = [b for b in self._builders if b.name == record["facts"]["engine"]]
            engine = builder.build(self._model, self._directory, self._cache.folder)
            now = checked_logits(engine, self._probe, len(self._model.classes))  # (_PROBE_PHOTOS, classes)
            then = np.asarray(record["probe"], np.float32)  # (_PROBE_PHOTOS, classes)
            if then.shape != now.shape or Agreement.of(now, then, self._model.calibration).largest_difference > _SAME:
                raise EngineUnavailableError("its answers are not those of when it was picked")
            chosen = Chosen(engine, int(record["batch"]), {**record["facts"], "from_cache": True})
        except Exception as error:  # noqa: BLE001  a damaged network may raise anything in whoever reads it
            logger.warning("the kept engine is ignored: %r", error)
            return None
        self._cache.keep(wanted, record)
        return chosen

    def anew(self, wanted: str) -> Chosen:
        """Build all, measure all, and take the fastest that passes the comparison.

        Raises:
            EngineUnavailableError: none does; only where eager PyTorch is not among them.
        """
        self._cache.clear()
        candidates = [self._built(builder) for builder in self._builders]
        running = {c.builder.name: c.engine for c in candidates if c.engine is not None}
        sizes = _GPU_SIZES if torch.cuda.is_available() else _CPU_SIZES
        rates = measure(running, self._probe, sizes)
        del running
        for candidate in candidates:
            candidate.rates = rates.get(candidate.builder.name, {})
        reference = load_reference(self._directory, self._model)
        pick = self._first_that_agrees(candidates, reference)
        facts: dict[str, Any] = {
            "engine": pick.builder.name,
            "from_cache": False,
            "reference": reference.origin,
            "check_photos": len(reference.photos),
            "candidates": [candidate.facts() for candidate in candidates],
        }
        assert pick.engine is not None
        assert pick.probe is not None
        chosen = Chosen(pick.engine, worthwhile_batch(pick.rates), facts)
        facts["batch"] = chosen.batch
        self._cache.keep(wanted, {"facts": facts, "batch": chosen.batch, "probe": pick.probe.tolist()})
        return chosen

    def _built(self, builder: EngineBuilder) -> Candidate:
        """Return the candidate, refused where it cannot be built or answers the probe with nonsense."""
        candidate = Candidate(builder)
        start = time.monotonic()
        try:
            candidate.engine = builder.build(self._model, self._directory, self._cache.folder)
            checked_logits(candidate.engine, self._probe[:1], len(self._model.classes))
            candidate.probe = checked_logits(candidate.engine, self._probe, len(self._model.classes))
        except EngineUnavailableError as error:
            candidate.refuse(str(error))
        except Exception as error:  # noqa: BLE001  whatever fails in one engine, another one serves
            candidate.refuse(repr(error)[:500])
        candidate.build_seconds = time.monotonic() - start
        return candidate

    def _first_that_agrees(self, candidates: list[Candidate], reference: Reference) -> Candidate:
        """Compare from the fastest on, and free each that is not it; eager needs no comparison with itself."""
        able = [candidate for candidate in candidates if candidate.engine is not None]
        pick: Candidate | None = None
        for candidate in sorted(able, key=lambda c: score(c.rates), reverse=True):
            if pick is None and self._agrees(candidate, reference):
                pick = candidate
            else:
                candidate.engine = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if pick is None:
            raise EngineUnavailableError("; ".join(f"engine {c.builder.name}: {c.refused}" for c in candidates))
        return pick

    def _agrees(self, candidate: Candidate, reference: Reference) -> bool:
        assert candidate.engine is not None
        if candidate.builder.kind == _EAGER:
            return True
        try:
            candidate.agreement = reference.compare(candidate.engine)
            refusal = candidate.agreement.refusal
        except Exception as error:  # noqa: BLE001  whatever fails in one engine, another one serves
            refusal = str(error) if isinstance(error, EngineUnavailableError) else repr(error)[:500]
        if refusal is not None:
            candidate.refuse(refusal)
        return refusal is None

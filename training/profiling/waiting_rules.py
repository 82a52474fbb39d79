"""Rules of a training that waits for its data: for the processors, for disk or network, for too few threads."""

from typing import Final

from contract.findings import Finding
from training.profiling.profile import LoaderTiming, Profile
from training.profiling.profiler import Phase
from training.profiling.rules import PATIENCE, NotEvaluatedError, ProfileRule, readings
from training.profiling.sampler import Sample

# Of the steps' time: less is not worth a change.
LEAST_SHARE: Final = 0.1


def idle(sample: Sample, gpu_threshold: float) -> bool:
    """Return whether what trains had nothing to do: the GPU; on a CPU, the thread that trains, waiting for data."""
    busy = 100 - sample.waiting if sample.gpu is None else sample.gpu
    return busy < gpu_threshold


def saving(profile: Profile) -> tuple[int, float] | None:
    """Return the number of threads, and the share of the steps' time that they would save at most; None: not timed.

    A step that waits takes as long as its photos take to be loaded. With other threads that time changes as it did
    when they were timed alone, and never falls below what the step computes.
    """
    loader = profile.loader
    if loader is None or loader.threads not in loader.seconds_per_photo:
        return None
    now, computing = loader.seconds_per_photo[loader.threads], 1 - profile.share(Phase.WAIT)
    best = min(loader.seconds_per_photo, key=lambda threads: loader.seconds_per_photo[threads])
    share = 1 - max(computing, loader.seconds_per_photo[best] / now)
    return (best, share) if best != loader.threads and share > 0 else None


def loading_advice(profile: Profile, otherwise: str) -> str:
    """Return what to change about the loading, in what was measured."""
    saved = saving(profile)
    if saved is None or profile.loader is None or saved[1] < LEAST_SHARE:
        return otherwise
    threads, share = saved
    return (
        f"{threads} loader threads instead of {profile.loader.threads} would save up to {share:.0%} of the steps' time "
        f"(loader_threads). {_timing(profile.loader)}"
    )


def _timing(loader: LoaderTiming) -> str:
    each = ", ".join(
        f"{seconds * 1000:.1f} ms with {threads}" for threads, seconds in sorted(loader.seconds_per_photo.items())
    )
    return f"Measured after the training, alone, on {loader.photos} photos, per photo: {each}."


def _waits(profile: Profile) -> str:
    return f"{profile.share(Phase.WAIT):.0%} of the steps' time was waiting for data"


class CPUBottleneck(ProfileRule):
    """The processors are so busy that what trains has nothing to do, for ``threshold`` percent of the time."""

    def __init__(
        self,
        threshold: float = 50,
        gpu_threshold: float = 10,
        cpu_threshold: float = 90,
        patience: int = PATIENCE,
    ) -> None:
        self._threshold, self._gpu, self._cpu, self._patience = threshold, gpu_threshold, cpu_threshold, patience

    def look(self, profile: Profile) -> Finding | None:
        """Return the share of readings with busy processors and an idle device."""
        found = readings(profile, self._patience)
        blocked = [sample for sample in found if sample.cpu > self._cpu and idle(sample, self._gpu)]
        percent = 100 * len(blocked) / len(found)
        if percent <= self._threshold:
            return None
        return self.found(
            None,
            f"For {percent:.0f} % of the training the processors were more than {self._cpu:g} % busy and what trains "
            f"less than {self._gpu:g} %; {_waits(profile)}.",
            "Decoding and augmenting photos takes more processors than there are, so the network stands still.",
            loading_advice(
                profile,
                f"Take an instance with more than {profile.setting.cores} cores, fewer pixel augmentations, or cached "
                f"activations: no more than {profile.share(Phase.WAIT):.0%} of the steps' time can be saved.",
            ),
        )


class IOBottleneck(ProfileRule):
    """What trains has nothing to do because disk or network are slow, for ``threshold`` percent of the time.

    Read from a network, photos leave no trace in the system's I/O wait; then the processors that could decode them are
    idle instead, so both count: what trains waits for data, and ``io_threshold`` percent of all cores wait with it.
    """

    def __init__(
        self,
        threshold: float = 50,
        gpu_threshold: float = 10,
        io_threshold: float = 50,
        patience: int = PATIENCE,
    ) -> None:
        self._threshold, self._gpu, self._io, self._patience = threshold, gpu_threshold, io_threshold, patience

    def look(self, profile: Profile) -> Finding | None:
        """Return the share of readings with idle processors and an idle device."""
        found = readings(profile, self._patience)
        blocked = [sample for sample in found if idle(sample, self._gpu) and self._stalled(sample)]
        percent = 100 * len(blocked) / len(found)
        if percent <= self._threshold:
            return None
        disk = max((sample.io_wait or 0.0 for sample in blocked), default=0.0)
        return self.found(
            None,
            f"For {percent:.0f} % of the training it waited for data while more than {self._io:g} % of the cores had "
            f"nothing to do (waiting for a disk: up to {disk:.0f} %); {_waits(profile)}.",
            "Photos are read more slowly than they are decoded and learned from.",
            loading_advice(
                profile,
                "Bring the photos to a local disk before the training (a channel in File mode) or cache activations: "
                f"up to {profile.share(Phase.WAIT):.0%} of the steps' time.",
            ),
        )

    def _stalled(self, sample: Sample) -> bool:
        at_rest = 100 - sample.cpu  # I/O wait included
        return sample.waiting > 100 - self._gpu and at_rest > self._io


class DataLoader(ProfileRule):
    """Photos are decoded by too few or too many threads, and the training waits for them.

    AWS's rule counts processes only; this one also wants a tenth of the time to be waiting, and times other numbers.
    """

    def __init__(self, min_threshold: float = 70, max_threshold: float = 200) -> None:
        self._min, self._max = min_threshold, max_threshold

    def look(self, profile: Profile) -> Finding | None:
        """Return the number of threads, in percent of the cores, and what others would save."""
        threads, cores = profile.setting.loader_threads, profile.setting.cores
        if threads is None:
            raise NotEvaluatedError("No photos are decoded in the steps: activations are cached.")
        if not profile.step_times:
            raise NotEvaluatedError("There was no step to time.")
        if profile.share(Phase.WAIT) < LEAST_SHARE:
            return None
        percent, saved = 100 * threads / cores, saving(profile)
        outside = not self._min <= percent <= self._max
        if not outside and (saved is None or saved[1] < LEAST_SHARE):
            return None
        return self.found(
            None,
            f"{threads} threads decode photos on {cores} cores, and {_waits(profile)}.",
            "The network waits for photos that other cores, or fewer threads, would have ready in time.",
            loading_advice(
                profile,
                f"Set loader_threads to {cores}, one per core; no more than {profile.share(Phase.WAIT):.0%} of the "
                "steps' time can be saved.",
            ),
        )

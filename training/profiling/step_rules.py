"""Rules of the steps' own times."""

import statistics
from collections.abc import Sequence

from contract.findings import Finding, Severity
from training.profiling.profile import Profile, StepTime
from training.profiling.profiler import Phase
from training.profiling.rules import NotEvaluatedError, ProfileRule


class StepOutlier(ProfileRule):
    """More than ``n_outliers`` steps took longer than the mean by ``stddev`` standard deviations."""

    def __init__(self, stddev: float = 3, n_outliers: int = 10) -> None:
        self._stddev, self._outliers = stddev, n_outliers

    def look(self, profile: Profile) -> Finding | None:
        """Return the slow steps, and the phase in which they were slow; the first step is never one."""
        steps = profile.step_times[1:]
        # Of n values at most n / (1 + k^2) lie k deviations above the mean (Cantelli).
        fewest = int((self._outliers + 1) * (1 + self._stddev**2))
        if len(steps) < fewest:
            raise NotEvaluatedError(f"{len(steps)} steps were timed; of fewer than {fewest} not so many can stand out.")
        seconds = [each.seconds for each in steps]
        limit = statistics.fmean(seconds) + self._stddev * statistics.pstdev(seconds)
        slow = [each for each in steps if each.seconds > limit]
        if len(slow) <= self._outliers:
            return None
        usual = statistics.median(seconds)
        excess = sum(each.seconds - usual for each in slow)
        phase, lost = _where(slow, steps)
        return self.found(
            slow[0].step,
            f"{len(slow)} of {len(steps)} steps took more than {limit:.3f} s, the usual one {usual:.3f} s; "
            f"{lost / excess:.0%} of the difference is in the phase {phase}.",
            "Something holds these steps up that has nothing to do with what is learned.",
            f"Look for what the phase {phase} shares with others (other programs, a disk, the network): as fast as the "
            f"usual ones, these steps would save {excess:.1f} s, {excess / sum(seconds):.0%} of the steps' time.",
        )


def _where(slow: Sequence[StepTime], steps: Sequence[StepTime]) -> tuple[Phase, float]:
    """Return the phase that the slow steps lost most time in, against the usual step, and how much."""
    lost = {}
    for phase in {phase for each in slow for phase in each.phases}:
        usual = statistics.median(each.phases.get(phase, 0.0) for each in steps)
        lost[phase] = sum(each.phases.get(phase, 0.0) - usual for each in slow)
    phase = max(sorted(lost), key=lambda name: lost[name])
    return phase, lost[phase]


class MaxInitializationTime(ProfileRule):
    """The first step came only after ``threshold`` minutes."""

    severity = Severity.INFO

    def __init__(self, threshold: float = 20) -> None:
        self._threshold = threshold

    def look(self, profile: Profile) -> Finding | None:
        """Return what the time before the first step went to."""
        minutes = profile.initialization_seconds / 60
        if minutes <= self._threshold:
            return None
        total = sum(profile.initialization.values())
        phase = max(profile.initialization, key=lambda name: profile.initialization[name])
        share = profile.initialization[phase] / total
        return self.found(
            profile.step_times[0].step if profile.step_times else None,
            f"The first step came {minutes:.1f} minutes after the start; {share:.0%} of that is the phase {phase}.",
            "An instance is paid from its start, whether it trains or not.",
            _ADVICE[phase].format(seconds=profile.initialization[phase])
            if phase in _ADVICE
            else f"Look at what happens before the first step: {profile.initialization[phase]:.0f} s.",
        )


_ADVICE = {
    Phase.CACHE: "Cache fewer views of each photo (--fine-tune-views): making them took {seconds:.0f} s, in proportion "
    "to their number.",
    Phase.PROBE: "Fit the head for fewer epochs or with a larger batch: it took {seconds:.0f} s.",
}

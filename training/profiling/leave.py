"""What the profiler leaves in a training's output."""

from pathlib import Path
from typing import Any

from contract.findings import Finding
from contract.names import OutputFile
from training.profiling.profile import Profile
from training.profiling.profiler import Phase
from training.profiling.registry import judge_profile
from training.progress import say


def leave_profile(profile: Profile | None, folder: Path) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Write profile.json and say in the log what the steps' time went to; return what the rules say of it.

    Returns:
        The rules' states, as findings.json lists them, and the findings; nothing where nothing was profiled.
    """
    if profile is None:
        return [], []
    profile.save(folder / OutputFile.PROFILE)
    if profile.step_times:
        shares = {phase: profile.share(phase) for phase in Phase}
        parts = ", ".join(f"{phase} {share:.0%}" for phase, share in shares.items() if share >= 0.005)
        say(f"the {profile.steps} steps' time: {parts}")
    return judge_profile(profile)

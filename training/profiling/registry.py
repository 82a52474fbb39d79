"""All rules of the profile."""

from typing import Any, Final

from contract.findings import Finding
from training.profiling.gpu_rules import BatchSize, GPUMemoryIncrease, LowGPUUtilization
from training.profiling.profile import Profile
from training.profiling.rules import ProfileRule, evaluate
from training.profiling.step_rules import MaxInitializationTime, StepOutlier
from training.profiling.waiting_rules import CPUBottleneck, DataLoader, IOBottleneck

PROFILE_RULES: Final[tuple[type[ProfileRule], ...]] = (
    BatchSize,
    CPUBottleneck,
    DataLoader,
    GPUMemoryIncrease,
    IOBottleneck,
    LowGPUUtilization,
    MaxInitializationTime,
    StepOutlier,
)


def judge_profile(profile: Profile) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Return what became of each rule, as findings.json lists it, and the findings."""
    return evaluate(profile, [rule() for rule in PROFILE_RULES])

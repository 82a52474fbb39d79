"""``debugger: managed``: SageMaker's own Debugger and profiler, besides the rules that come with Pedigree."""

from typing import Any, Final

from contract.names import Prefix
from infra.state_machine.facts import Facts

# What the hook of training/debugging.py saves: a head of one layer, so whole tensors are small.
_EVERY_STEPS: Final = "50"
_COLLECTIONS: Final = {
    "losses": {"train.save_interval": _EVERY_STEPS, "eval.save_interval": "1"},
    "weights": {"save_interval": _EVERY_STEPS},
    "gradients": {"save_interval": _EVERY_STEPS},
}
# AWS's built-in rules that can be evaluated on those. PoorWeightInitialization, DeadRelu and their like look at the
# inputs of activation functions, of which a linear head has none.
_RULES: Final = ("LossNotDecreasing", "Overfit", "Overtraining", "VanishingGradient", "ExplodingTensor")
_PROFILER_RULE: Final = "ProfilerReport"
_PROFILING_MILLISECONDS: Final = 500


def managed_debugging(facts: Facts) -> dict[str, Any]:
    """Return what the training's request says about debugging; nothing where only our own rules are wanted.

    A tuning job's definition has no such members, so trials are never debugged.
    """
    if facts.settings.debugger != "managed":
        return {}
    # SageMaker adds <job name>/{debug,profiler,rule}-output: beside what the job itself leaves.
    beside = facts.uri(Prefix.MODELS)
    collections = [
        {"CollectionName": name, "CollectionParameters": parameters} for name, parameters in _COLLECTIONS.items()
    ]
    return {
        "DebugHookConfig": {"S3OutputPath": beside, "CollectionConfigurations": collections},
        "DebugRuleConfigurations": [_rule(facts, name) for name in _RULES],
        "ProfilerConfig": {"S3OutputPath": beside, "ProfilingIntervalInMilliseconds": _PROFILING_MILLISECONDS},
        "ProfilerRuleConfigurations": [_rule(facts, _PROFILER_RULE)],
    }


def _rule(facts: Facts, name: str) -> dict[str, Any]:
    return {
        "RuleConfigurationName": name,
        "RuleEvaluatorImage": facts.debugger_image,
        "RuleParameters": {"rule_to_invoke": name},
    }

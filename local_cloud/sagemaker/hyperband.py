"""The strategy Hyperband: its configuration, checked as AWS documents it, and which trials it stops."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from contract.hyperband import Hyperband

# The static hyperparameters from which AWS takes a missing MaxResource, and its limit
# (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HyperbandStrategyConfig.html).
_NAMES_OF_EPOCHS: Final = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
_MOST: Final = 20_000


def hyperband_problems(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield what AWS would refuse in a CreateHyperParameterTuningJob request."""
    tuning = request["HyperParameterTuningJobConfig"]
    if tuning["Strategy"] != "Hyperband":
        if "StrategyConfig" in tuning:
            yield (
                "StrategyConfig.HyperbandStrategyConfig should be provided only if Hyperband is selected as the "
                f"Strategy, not {tuning['Strategy']}."
            )
        return
    if tuning.get("TrainingJobEarlyStoppingType", "Off") != "Off":
        yield (
            "TrainingJobEarlyStoppingType must be Off to use Hyperband, which has an early stopping mechanism of its "
            "own."
        )
    minimum, maximum = _given(tuning, request.get("TrainingJobDefinition", {}))
    if maximum is None:
        yield (
            "HyperbandStrategyConfig.MaxResource is missing and cannot be inferred from StaticHyperParameters: none "
            f"of {', '.join(_NAMES_OF_EPOCHS)} is a whole number there."
        )
    elif not minimum <= maximum <= _MOST:
        yield (
            f"HyperbandStrategyConfig: MinResource {minimum} must not be greater than MaxResource {maximum}, which "
            f"must not be greater than {_MOST}."
        )


def resources(tuning: Mapping[str, Any], definition: Mapping[str, Any]) -> tuple[int, int]:
    """Return MinResource and MaxResource of a configuration without problems."""
    minimum, maximum = _given(tuning, definition)
    assert maximum is not None
    return minimum, maximum


def _given(tuning: Mapping[str, Any], definition: Mapping[str, Any]) -> tuple[int, int | None]:
    config = tuning.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    static = definition.get("StaticHyperParameters", {})
    epochs = [static[name] for name in _NAMES_OF_EPOCHS if static.get(name, "").strip('"').isdecimal()]
    inferred = int(epochs[0].strip('"')) if epochs else None
    return config.get("MinResource", 1), config.get("MaxResource", inferred)


class HyperbandRule:
    """Stops the trials that Hyperband gives up; each report of a trial's objective is one resource."""

    def __init__(self, resources: tuple[int, int], *, maximize: bool) -> None:
        """Begin without any trial; ``resources`` are the least and the most that a trial gets."""
        self._band = Hyperband(*resources)
        self._maximum = resources[1]
        self._sign = 1 if maximize else -1
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._reports: Counter[str] = Counter()
        self._losing: set[str] = set()

    def begin(self, trial: str) -> None:
        """Give a trial its place in a bracket."""
        with self._lock:
            self._numbers[trial] = len(self._numbers)

    def report(self, trial: str, value: float) -> None:
        """Take the next value of a trial's objective, and judge it at once: the next may be milliseconds away."""
        with self._lock:
            self._reports[trial] += 1
            resource = self._reports[trial]
            goes_on = self._band.goes_on(self._numbers[trial], resource, self._sign * value)
            if not goes_on or resource >= self._maximum:
                self._losing.add(trial)

    def end(self, trial: str) -> None:
        """What counts was noted as it was reported."""

    def losing(self, trial: str) -> bool:
        """Tell whether it was given up, or has got the most that a trial gets, at which AWS stops it, too."""
        with self._lock:
            return trial in self._losing

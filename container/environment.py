"""The directories and files that SageMaker gives a container, and the SM_* environment that a script gets from them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from container.errors import LaunchError

BASE_DIR_VARIABLE: Final = "SAGEMAKER_BASE_DIR"
_USUAL_BASE: Final = "/opt/ml"
PROGRAM: Final = "sagemaker_program"
SUBMIT_DIRECTORY: Final = "sagemaker_submit_directory"
_REGION: Final = "sagemaker_region"
_LOG_LEVEL: Final = "sagemaker_container_log_level"
_INFO: Final = "20"
# OpenMP's threads spin while they wait for each other. Where other processes want the cores too (several jobs on one
# laptop, data loaders), they spin in place of the thread they wait for: sleeping made predictions 8 times faster there.
OPENMP_DEFAULTS: Final = {"OMP_WAIT_POLICY": "PASSIVE"}
# What the platform adds for itself: no script declares these options. A tuning job adds the second one to its trials.
_PLATFORM_PREFIXES: Final = ("sagemaker_", "_tuning_objective_metric")


@dataclass(frozen=True)
class Layout:
    """Where things are in the container; ``base`` is /opt/ml unless SAGEMAKER_BASE_DIR says otherwise."""

    base: Path

    @classmethod
    def from_environment(cls) -> "Layout":
        """Return the layout below SAGEMAKER_BASE_DIR."""
        return cls(Path(os.environ.get(BASE_DIR_VARIABLE) or _USUAL_BASE).absolute())

    def translated(self, path: str) -> Path:
        """Return where a path of SageMaker's own layout is in this one."""
        below = PurePosixPath(path)
        return self.base / below.relative_to(_USUAL_BASE) if below.is_relative_to(_USUAL_BASE) else Path(path)

    @property
    def code(self) -> Path:
        """Where the source bundle is unpacked."""
        return self.base / "code"

    @property
    def config(self) -> Path:
        """What the request said, as JSON files."""
        return self.base / "input" / "config"

    @property
    def data(self) -> Path:
        """One folder per input channel."""
        return self.base / "input" / "data"

    @property
    def model(self) -> Path:
        """What a job leaves as its model, and where an endpoint finds it."""
        return self.base / "model"

    @property
    def output(self) -> Path:
        """The parent of output data and of the failure file."""
        return self.base / "output"

    @property
    def output_data(self) -> Path:
        """What a job leaves beside its model."""
        return self.output / "data"

    @property
    def failure(self) -> Path:
        """The file whose beginning becomes the job's FailureReason."""
        return self.output / "failure"


@dataclass(frozen=True)
class Job:
    """What the request asked for; values of hyperparameters are text, without JSON's quotes."""

    hyperparameters: Mapping[str, str]
    channels: tuple[str, ...]
    hosts: tuple[str, ...]
    current_host: str

    @property
    def options(self) -> dict[str, str]:
        """The hyperparameters that are the script's own, sorted by name."""
        return {
            name: value
            for name, value in sorted(self.hyperparameters.items())
            if not name.startswith(_PLATFORM_PREFIXES)
        }

    @property
    def region(self) -> str | None:
        """The region that the source bundle is in, if the platform says so."""
        named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        return named or self.hyperparameters.get(_REGION)

    def required(self, name: str) -> str:
        """Return a hyperparameter without which no script can be started.

        Raises:
            LaunchError: it is missing or empty.
        """
        value = self.hyperparameters.get(name, "")
        if not value:
            given = ", ".join(sorted(self.hyperparameters)) or "none"
            raise LaunchError(f"hyperparameter {name!r} is missing: script mode needs it; given: {given}")
        return value


def unquote(value: str) -> str:
    """Return a hyperparameter's value as text: the SageMaker SDK and the tuner send strings as JSON strings.

    Only JSON strings lose their quotes; numbers, ``true`` and ``false`` stay the text they are.
    """
    if not value.startswith('"'):
        return value
    try:
        parsed = json.loads(value)
    except ValueError:
        return value
    return parsed if isinstance(parsed, str) else value


def read_job(layout: Layout) -> Job:
    """Read what the platform wrote for this job.

    Raises:
        LaunchError: a file is missing or is not the JSON that SageMaker writes.
    """
    hyperparameters = _read_object(layout.config / "hyperparameters.json")
    resources = _read_object(layout.config / "resourceconfig.json", default={})
    channels = _read_object(layout.config / "inputdataconfig.json", default={})
    current = str(resources.get("current_host", "algo-1"))
    return Job(
        {
            name: unquote(value if isinstance(value, str) else json.dumps(value))
            for name, value in hyperparameters.items()
        },
        tuple(sorted(channels)),
        tuple(map(str, resources.get("hosts", [current]))),
        current,
    )


def _read_object(path: Path, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON object in ``path``; a file that is not there is the default, if there is one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if default is not None:
            return default
        raise LaunchError(
            f"{path} is missing: SageMaker writes it before it starts the container; "
            f"by hand, set {BASE_DIR_VARIABLE} to a folder that has input/config/{path.name}"
        ) from None
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise LaunchError(f"{path} is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise LaunchError(f"{path}: a JSON object expected, got {type(parsed).__name__}")
    return parsed


def script_arguments(job: Job) -> list[str]:
    """Return the script's command line: ``--name value`` for each of its hyperparameters, sorted by name."""
    return [word for name, value in job.options.items() for word in (f"--{name}", value)]


def script_environment(layout: Layout, job: Job) -> dict[str, str]:
    """Return the whole environment of the script: this process's own, with the SM_* names of SageMaker's toolkit."""
    options = job.options
    named = {
        BASE_DIR_VARIABLE: str(layout.base),
        "PYTHONPATH": str(layout.code),
        "PYTHONUNBUFFERED": "1",  # a log line is to be seen when it is printed
        "SM_MODEL_DIR": str(layout.model),
        "SM_OUTPUT_DIR": str(layout.output),
        "SM_OUTPUT_DATA_DIR": str(layout.output_data),
        "SM_INPUT_DIR": str(layout.base / "input"),
        "SM_INPUT_CONFIG_DIR": str(layout.config),
        "SM_MODULE_DIR": job.hyperparameters.get(SUBMIT_DIRECTORY, ""),
        "SM_USER_ENTRY_POINT": job.hyperparameters.get(PROGRAM, ""),
        "SM_HPS": json.dumps(options, sort_keys=True),
        "SM_USER_ARGS": json.dumps(script_arguments(job)),
        "SM_CHANNELS": json.dumps(job.channels),
        "SM_HOSTS": json.dumps(job.hosts),
        "SM_CURRENT_HOST": job.current_host,
        "SM_NUM_CPUS": str(os.cpu_count() or 1),
        "SM_NUM_GPUS": str(count_gpus()),
        "SM_LOG_LEVEL": job.hyperparameters.get(_LOG_LEVEL, _INFO),
    }
    channels = {f"SM_CHANNEL_{name.upper()}": str(layout.data / name) for name in job.channels}
    hyperparameters = {f"SM_HP_{name.upper()}": value for name, value in options.items()}
    return {**OPENMP_DEFAULTS, **os.environ, **named, **channels, **hyperparameters}


def count_gpus() -> int:
    """Return how many GPUs the NVIDIA driver lists; 0 where there is no driver, or none that answers."""
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        print(f"nvidia-smi --list-gpus failed, counting no GPUs: {listed.stderr.strip()}", file=sys.stderr)
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())

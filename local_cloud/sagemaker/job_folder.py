"""A job's /opt/ml: what the platform puts there and what it finds when the job has ended."""

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_cloud.sagemaker.errors import JobError
from local_cloud.sagemaker.job_status import MAX_FAILURE_REASON
from local_cloud.sagemaker.store import remove_folder


class JobFolder:
    """The base folder of the container contract."""

    def __init__(self, base: Path) -> None:
        """Use ``base``; nothing is written yet."""
        self.base = base
        self.config = base / "input" / "config"
        self.channels = base / "input" / "data"
        self.model = base / "model"
        self.output = base / "output"
        self.output_data = base / "output" / "data"
        self.checkpoints = base / "checkpoints"

    def make(self) -> None:
        """Start from an empty folder."""
        self.remove()
        for folder in (self.config, self.channels, self.model, self.output_data, self.checkpoints):
            folder.mkdir(parents=True)

    def remove(self) -> None:
        """Leave nothing behind."""
        remove_folder(self.base)

    def write_config(self, job: Mapping[str, Any]) -> None:
        """Write the three files that tell a container what it is to do."""
        resources = job.get("ResourceConfig", {})
        self._write("hyperparameters", dict(job.get("HyperParameters", {})))
        self._write(
            "resourceconfig",
            {
                "current_host": "algo-1",
                "current_instance_type": resources.get("InstanceType", "local"),
                "current_group_name": "homogeneousCluster",
                "hosts": ["algo-1"],
                "instance_groups": [
                    {
                        "instance_group_name": "homogeneousCluster",
                        "instance_type": resources.get("InstanceType", "local"),
                        "hosts": ["algo-1"],
                    }
                ],
                "network_interface_name": "lo",
            },
        )
        mode = job["AlgorithmSpecification"]["TrainingInputMode"]
        self._write("inputdataconfig", {c["ChannelName"]: _channel(c, mode) for c in job.get("InputDataConfig", [])})

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        (self.config / f"{name}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")

    def failure(self, exit_code: int) -> JobError:
        """Return the error of a job whose container ended with ``exit_code``."""
        path = self.output / "failure"
        said = path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""
        begin, end = "AlgorithmError: ", f", exit code: {exit_code}"
        text = said or _cause(exit_code)
        return JobError(begin + text[: MAX_FAILURE_REASON - len(begin) - len(end)] + end)


def _channel(channel: Mapping[str, Any], usual_mode: str) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    return {
        "TrainingInputMode": channel.get("InputMode", usual_mode),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
    }


def _cause(exit_code: int) -> str:
    number = exit_code - 128
    try:
        return f"killed by {signal.Signals(number).name} (signal {number})"
    except ValueError:
        return "the container left no message in output/failure; see the job's log"

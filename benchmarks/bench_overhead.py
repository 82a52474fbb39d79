"""What the state machine adds to its jobs: an execution's duration over the sum of its jobs' durations.

Command:   make bench NAME=overhead        (five runs on the toy photos, about 15 minutes on 2 cores)
Baseline:  the sum of the durations of prepare, extract, tune and train in the same run, as SageMaker's Describe calls
           give them, and of the endpoint's start, which is a model server loading the model.
Expected:  under 15 s more than the baseline; a ratio a little above 1.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3

from benchmarks.record import report

PEDIGREE = Path(sys.executable).parent / "pedigree"
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Keep one local cloud up, run the whole job several times on it, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    cloud = subprocess.Popen([PEDIGREE, "up"], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert cloud.stdout is not None
    try:
        for line in cloud.stdout:
            print(line, end="")
            if "Ctrl-C" in line:  # what `pedigree up` says last, when everything is ready
                break
        environment = cloud_environment()
        pairs = [one_run(environment, seed) for seed in range(runs)]
    finally:
        os.killpg(cloud.pid, signal.SIGINT)
        cloud.wait(60)
    added = [total - jobs for total, jobs in pairs]
    report(
        "overhead",
        {"execution_over_jobs": [total / jobs for total, jobs in pairs]},
        [f"seconds added to the jobs: {', '.join(f'{seconds:.1f}' for seconds in added)}"],
    )


def cloud_environment() -> dict[str, str]:
    """Return the variables of `pedigree env`."""
    printed = subprocess.run([PEDIGREE, "env"], check=True, capture_output=True, text=True).stdout
    words = [shlex.split(line) for line in printed.splitlines() if line.startswith("export ")]
    return dict(word.split("=", 1) for _, *exports in words for word in exports)


def one_run(environment: dict[str, str], seed: int) -> tuple[float, float]:
    """Run the whole job once; return the execution's seconds and the sum of its jobs' seconds."""
    subprocess.run([PEDIGREE, "run", "--data", "toy", "--seed", str(seed)], check=True, stdout=subprocess.DEVNULL)
    summary = json.loads((ROOT / "build" / "run" / "summary.json").read_text(encoding="utf-8"))
    session: Any = boto3.Session(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], region_name=environment["AWS_REGION"]
    )
    reach = {"endpoint_url": environment["AWS_ENDPOINT_URL"], "verify": environment["AWS_CA_BUNDLE"]}
    execution = session.client("stepfunctions", **reach).describe_execution(executionArn=summary["execution_arn"])
    begun, ended = execution["startDate"], execution["stopDate"]
    return (ended - begun).total_seconds(), job_seconds(session.client("sagemaker", **reach), begun, ended)


def job_seconds(sagemaker: Any, begun: datetime, ended: datetime) -> float:
    """Return the sum of the durations of the jobs, and of the endpoint's update, within one execution."""
    trainings = sagemaker.list_training_jobs(CreationTimeAfter=begun, MaxResults=100)["TrainingJobSummaries"]
    tunings = sagemaker.list_hyper_parameter_tuning_jobs(CreationTimeAfter=begun)["HyperParameterTuningJobSummaries"]
    prefixes = tuple(tuning["HyperParameterTuningJobName"] for tuning in tunings)
    spans: list[tuple[datetime, datetime]] = [
        (job["CreationTime"], job["TrainingEndTime"])
        for job in trainings
        if not job["TrainingJobName"].startswith(prefixes)
    ]
    spans += [(tuning["CreationTime"], tuning["HyperParameterTuningEndTime"]) for tuning in tunings]
    for endpoint in sagemaker.list_endpoints()["Endpoints"]:
        config = sagemaker.list_endpoint_configs(SortBy="CreationTime", SortOrder="Descending")["EndpointConfigs"][0]
        spans.append((config["CreationTime"], min(endpoint["LastModifiedTime"], ended)))
    return sum((end - start).total_seconds() for start, end in spans)


if __name__ == "__main__":
    main()

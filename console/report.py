"""`pedigree report`: the page of the last training, from this disk or, where it is not here, from the cloud."""

import json
import tempfile
from pathlib import Path

from console.cloud import Cloud
from console.errors import ConsoleError
from console.files import replacing
from console.results import REPORT, parse_uri, read_members
from console.stacks import deployed
from contract.names import OutputFile


def fetch_report(cloud: Cloud, folder: Path) -> Path:
    """Write report and findings of the last execution that succeeded into ``folder``; return the report's path.

    Raises:
        ConsoleError: nothing is deployed, no execution succeeded yet, or the training left no report.
    """
    executions = cloud.client("stepfunctions")
    machine = deployed(cloud).state_machine_arn
    found = executions.list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED", maxResults=1)["executions"]
    if not found:
        raise ConsoleError("There is no report yet: no execution has succeeded.", "Make one: pedigree run")
    name = found[0]["executionArn"]
    output = json.loads(executions.describe_execution(executionArn=name).get("output") or "{}")
    if "output_uri" not in output:
        raise ConsoleError(f"The last execution left no report: {name}")
    with tempfile.TemporaryDirectory(prefix="pedigree-") as temporary:
        archive = Path(temporary) / "output.tar.gz"
        cloud.client("s3").download_file(*parse_uri(output["output_uri"]), str(archive))
        members = read_members(archive, (OutputFile.REPORT, OutputFile.FINDINGS))
    if OutputFile.REPORT not in members:
        raise ConsoleError(f"The last training left no report: {output['output_uri']} holds none")
    for name, content in members.items():
        with replacing(folder / name) as partial:
            partial.write_bytes(content)
    return folder / REPORT

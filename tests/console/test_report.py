import io
import json
import tarfile
from pathlib import Path

import pytest
from botocore.response import StreamingBody

from console.errors import ConsoleError
from console.report import fetch_report
from contract.names import Output, Stack
from tests.console.events import START
from tests.console.fakes import FakeCloud
from tests.console.test_stacks import stack

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:machine"
EXECUTION = f"{MACHINE}:run-1"
OUTPUTS = {
    Stack.DATA: {Output.BUCKET: "bucket"},
    Stack.FRONT_DOOR: {Output.API_URL: "https://api", Output.API_KEY: "key"},
    Stack.PIPELINE: {Output.STATE_MACHINE: MACHINE, Output.ENDPOINT: "pedigree-laptop"},
}


def _ran(cloud: FakeCloud, output: dict[str, str] | None) -> None:
    for name in Stack:
        cloud.stub("cloudformation").add_response("describe_stacks", stack(name, **OUTPUTS[name]))
    known = {"executionArn": EXECUTION, "stateMachineArn": MACHINE, "status": "SUCCEEDED", "startDate": START}
    listed = [] if output is None else [{**known, "name": "run-1"}]
    asked = {"stateMachineArn": MACHINE, "statusFilter": "SUCCEEDED", "maxResults": 1}
    stepfunctions = cloud.stub("stepfunctions")
    stepfunctions.add_response("list_executions", {"executions": listed}, asked)
    if output is not None:
        stepfunctions.add_response(
            "describe_execution", {**known, "output": json.dumps(output)}, {"executionArn": EXECUTION}
        )


def _holds(cloud: FakeCloud, *names: str) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as packed:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 6
            packed.addfile(info, io.BytesIO(b"<html>"))
    content = file.getvalue()
    body = {"ContentLength": len(content), "ETag": '"e"'}
    cloud.stub("s3").add_response("head_object", body, {"Bucket": "bucket", "Key": "job/output.tar.gz"})
    cloud.stub("s3").add_response("get_object", body | {"Body": StreamingBody(io.BytesIO(content), len(content))})


def test_the_last_training_s_report_is_brought_here(cloud: FakeCloud, tmp_path: Path) -> None:
    _ran(cloud, {"output_uri": "s3://bucket/job/output.tar.gz"})
    _holds(cloud, "report.html", "findings.json", "tensors.json")
    assert fetch_report(cloud, tmp_path / "run").read_bytes() == b"<html>"
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"report.html", "findings.json"}


def test_where_nothing_has_succeeded_it_says_how_to_make_one(cloud: FakeCloud, tmp_path: Path) -> None:
    _ran(cloud, None)
    with pytest.raises(ConsoleError, match="no execution has succeeded") as caught:
        fetch_report(cloud, tmp_path)
    assert caught.value.hint == "Make one: pedigree run"


@pytest.mark.parametrize("output", [{}, {"output_uri": "s3://bucket/job/output.tar.gz"}])
def test_a_training_that_left_none_is_named(cloud: FakeCloud, tmp_path: Path, output: dict[str, str]) -> None:
    _ran(cloud, output)
    if output:
        _holds(cloud, "something-else.html")
    with pytest.raises(ConsoleError, match=r"left no report: .*(run-1|output\.tar\.gz)"):
        fetch_report(cloud, tmp_path)
    assert list(tmp_path.iterdir()) == []

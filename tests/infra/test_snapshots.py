"""The templates of dev and prod are as they are on record: whoever changes one sees what it comes to."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from contract.names import Stack as Part
from tests.infra.snapshot import FOLDER, STAGES, difference, normalised

Synthesize = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize("part", list(Part))
@pytest.mark.parametrize("stage", STAGES)
def test_the_template_is_as_on_record(synthesize: Synthesize, stage: str, part: Part) -> None:
    changed = difference(stage, part, synthesize(stage)[part])
    assert not changed, f"`make snapshots` renews the record, if this is meant:\n{changed}"


def test_nothing_else_is_on_record() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == {f"{stage}-{part}" for stage in STAGES for part in Part}


def test_hashes_do_not_show() -> None:
    asset, revision, tag, content = "a1" * 32, "b2" * 20, "c3" * 8, "d4" * 16
    template = {"Resources": {f"ApiDeployment01234567{content}": {"Key": f"{asset}.zip", "Of": revision, "Tag": tag}}}
    text = normalised(template)
    assert not [each for each in (asset, revision, tag, content) if each in text]
    assert '"ApiDeployment01234567<content>"' in text


def test_joined_texts_are_whole_and_json_in_them_is_unpacked() -> None:
    joined = {"Fn::Join": ["", ['{"a": "', {"Fn::GetAtt": ["Bucket", "Arn"]}, '/*"}']]}
    assert json.loads(normalised({"Body": joined, "Arn": {"Fn::Join": ["", ["x:", {"Ref": "AWS::Region"}]]}})) == {
        "Body": {"<as text>": {"a": "<Bucket.Arn>/*"}},
        "Arn": "x:<AWS::Region>",
    }


def test_a_change_shows_as_a_short_diff(synthesize: Synthesize) -> None:
    template = json.loads(json.dumps(synthesize("dev")[Part.DATA]))
    template["Resources"]["New"] = {"Type": "AWS::SNS::Topic"}
    changed = difference("dev", Part.DATA, template)
    assert '+    "New": {' in changed
    assert len(changed.splitlines()) <= 61

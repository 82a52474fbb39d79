import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from botocore.response import StreamingBody

from console.errors import ConsoleError
from console.prediction import model as module
from console.prediction.model import given_model, program_of, served_model
from contract.names import Stack
from tests.console.events import START
from tests.console.fakes import FakeCloud
from tests.console.test_report import OUTPUTS
from tests.console.test_stacks import stack

PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/pedigree-laptop/3"


def packed(*names: str, link: str = "") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 2
            archive.addfile(info, io.BytesIO(b"{}"))
        if link:
            info = tarfile.TarInfo("link")
            info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
    return file.getvalue()


MODEL = packed("model.json", "weights.pt", "code/serving/folder.py")


def archive(folder: Path, content: bytes) -> Path:
    path = folder / "model.tar.gz"
    path.write_bytes(content)
    return path


def serves(cloud: FakeCloud, tag: str = "one", content: bytes | None = MODEL) -> None:
    """Answer for version 3 in service; without content its archive is not asked for."""
    for name in Stack:
        cloud.stub("cloudformation").add_response("describe_stacks", stack(name, **OUTPUTS[name]))
    record = json.dumps({"model_package_arn": PACKAGE}).encode()
    s3 = cloud.stub("s3")
    s3.add_response("get_object", {"Body": StreamingBody(io.BytesIO(record), len(record))})
    described: dict[str, Any] = {
        "ModelPackageName": "pedigree-laptop",
        "ModelPackageArn": PACKAGE,
        "CreationTime": START,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "InferenceSpecification": {"Containers": [{"ModelDataUrl": "s3://bucket/models/job/output/model.tar.gz"}]},
    }
    cloud.stub("sagemaker").add_response("describe_model_package", described, {"ModelPackageName": PACKAGE})
    known = {"Bucket": "bucket", "Key": "models/job/output/model.tar.gz"}
    s3.add_response("head_object", {"ETag": f'"{tag}"', "ContentLength": 1}, known)
    if content is not None:
        body = {"ContentLength": len(content), "ETag": f'"{tag}"'}
        s3.add_response("head_object", body, known)
        s3.add_response("get_object", body | {"Body": StreamingBody(io.BytesIO(content), len(content))})


def test_the_model_in_service_is_fetched_once(cloud: FakeCloud, tmp_path: Path) -> None:
    serves(cloud)
    model = served_model(cloud, tmp_path / "models")
    assert model.name.startswith("pedigree-laptop-3-")
    assert program_of(model) == model / "code"
    serves(cloud, content=None)
    assert served_model(cloud, tmp_path / "models") == model
    assert [path.name for path in (tmp_path / "models").iterdir()] == [model.name]


def test_a_version_whose_number_was_given_again_is_fetched_again(cloud: FakeCloud, tmp_path: Path) -> None:
    serves(cloud)
    first = served_model(cloud, tmp_path)
    serves(cloud, tag="two")
    assert served_model(cloud, tmp_path) != first


def test_where_no_model_is_served_it_says_how_to_get_one(cloud: FakeCloud, tmp_path: Path) -> None:
    for name in Stack:
        cloud.stub("cloudformation").add_response("describe_stacks", stack(name, **OUTPUTS[name]))
    cloud.stub("s3").add_client_error("get_object", "NoSuchKey")
    with pytest.raises(ConsoleError, match="No model is being served yet") as refused:
        served_model(cloud, tmp_path)
    assert refused.value.hint == "Train one: pedigree run"


def test_a_given_archive_is_unpacked_once_and_a_given_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    path = archive(tmp_path, MODEL)
    model = given_model(path, tmp_path / "models")
    (model / "marker").touch()
    assert given_model(path, tmp_path / "models") == model
    assert (model / "marker").exists()
    assert given_model(model, tmp_path / "elsewhere") == model


def test_a_model_that_another_command_has_unpacked_meanwhile_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, models, unpack = archive(tmp_path, MODEL), tmp_path / "models", module._unpack

    def overtaken(packed: Path, folder: Path) -> None:
        monkeypatch.setattr(module, "_unpack", unpack)
        (given_model(path, models) / "marker").touch()
        unpack(packed, folder)

    monkeypatch.setattr(module, "_unpack", overtaken)
    model = given_model(path, models)
    assert (model / "marker").exists()
    assert list(models.iterdir()) == [model]


def test_a_model_of_which_half_was_deleted_is_unpacked_again(tmp_path: Path) -> None:
    path = archive(tmp_path, MODEL)
    model = given_model(path, tmp_path / "models")
    (model / "weights.pt").unlink()
    assert (given_model(path, tmp_path / "models") / "weights.pt").is_file()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no archive", "cannot be unpacked"),
        (MODEL[:-30], "cannot be unpacked"),
        (packed("../outside", "weights.pt"), "cannot be unpacked"),
        (packed("weights.pt", link="/etc/passwd"), "cannot be unpacked"),
        (packed("model.json"), "holds no weights.pt"),
    ],
)
def test_what_is_no_model_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(ConsoleError, match=words):
        given_model(archive(tmp_path, content), tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []
    assert not (tmp_path / "outside").exists()


def test_a_missing_archive_and_a_folder_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConsoleError, match="No such file"):
        given_model(tmp_path / "model.tar.gz", tmp_path)
    with pytest.raises(ConsoleError, match=r"is no model: it has no model\.json"):
        given_model(tmp_path, tmp_path)


def test_a_model_whose_code_is_too_old_says_what_to_do(tmp_path: Path) -> None:
    model = given_model(archive(tmp_path, packed("weights.pt", "code/serving/server.py")), tmp_path / "models")
    with pytest.raises(ConsoleError, match="made before that was possible") as refused:
        program_of(model)
    assert "pedigree run" in refused.value.hint

import hashlib
import io
import urllib.request
from pathlib import Path

import pytest
import torch

from vision import weights
from vision.weights import WeightsError, resnet50_weights, timm_name


def state_bytes() -> bytes:
    buffer = io.BytesIO()
    torch.save({"conv1.weight": torch.ones(2), "fc.weight": torch.ones(3)}, buffer)
    return buffer.getvalue()


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def serve(monkeypatch: pytest.MonkeyPatch, data: bytes, url_digest: str) -> None:
    monkeypatch.setattr(weights, "RESNET50_URL", f"https://example.org/resnet50-{url_digest}.pth")
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: io.BytesIO(data))


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("_conv_stem.weight", "conv_stem.weight"),
        ("_bn0.bias", "bn1.bias"),
        ("_blocks.0._depthwise_conv.weight", "blocks.0.0.conv_dw.weight"),
        ("_blocks.0._project_conv.weight", "blocks.0.0.conv_pw.weight"),
        ("_blocks.2._bn0.running_mean", "blocks.1.1.bn1.running_mean"),
        ("_blocks.15._project_conv.weight", "blocks.6.0.conv_pwl.weight"),
    ],
)
def test_the_wheels_names_become_timms(key: str, name: str) -> None:
    assert timm_name(key) == name


def test_a_download_is_checked_and_kept(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    data = state_bytes()
    digest = hashlib.sha256(data).hexdigest()[:8]
    serve(monkeypatch, data, digest)
    found = resnet50_weights(None)
    assert set(found.state_dict) == {"conv1.weight"}  # without ImageNet's classifier
    assert (cache / f"resnet50-{digest}.pth").read_bytes() == data


def test_processes_that_download_at_once_all_keep_the_whole_file(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    data, write = state_bytes(), Path.write_bytes
    serve(monkeypatch, data, hashlib.sha256(data).hexdigest()[:8])

    def meanwhile(path: Path, content: bytes) -> int:
        written = write(path, content)
        monkeypatch.setattr(Path, "write_bytes", write)
        resnet50_weights(None)  # the other process comes to its end before this one
        return written

    monkeypatch.setattr(Path, "write_bytes", meanwhile)
    resnet50_weights(None)
    assert [path.read_bytes() for path in cache.iterdir()] == [data]


def test_a_download_with_another_hash_is_refused(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    serve(monkeypatch, state_bytes(), "00000000")
    with pytest.raises(WeightsError, match="does not have the sha256 00000000"):
        resnet50_weights(None)
    assert not cache.exists()


def test_a_kept_download_is_used_without_a_network(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "resnet50-11ad3fa6.pth").write_bytes(state_bytes())
    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: pytest.fail("downloaded"))
    assert resnet50_weights(None).origin.endswith("resnet50-11ad3fa6.pth")


def test_a_file_that_is_no_weights_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "resnet50.pth").write_bytes(b"<html>not found</html>")
    serve(monkeypatch, b"", "00000000")
    with pytest.raises(WeightsError, match=r"resnet50.pth holds no weights: .*\(22 bytes\)"):
        resnet50_weights(str(tmp_path))


def test_weights_come_from_an_s3_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    class S3:
        def get_object(self, **request: str) -> dict[str, io.BytesIO]:
            asked.update(request)
            return {"Body": io.BytesIO(state_bytes())}

    monkeypatch.setattr("boto3.client", lambda service: S3())
    assert resnet50_weights("s3://bucket/weights/").origin == "s3://bucket/weights/resnet50.pth"
    assert asked == {"Bucket": "bucket", "Key": "weights/resnet50.pth"}

from pathlib import Path

from local_cloud.certificate import ensure_certificate
from local_cloud.environment import prepare_environment
from local_cloud.settings import Settings
from local_cloud.state import StateDirectory


def _prepared(tmp_path: Path, **before: str) -> dict[str, str]:
    environment = dict(before)
    state = StateDirectory(tmp_path)
    prepare_environment(Settings(tmp_path, 1000, 1001), state, ensure_certificate(tmp_path), environment)
    return environment


def test_the_users_own_account_is_out_of_reach(tmp_path: Path) -> None:
    found = _prepared(tmp_path, AWS_ACCESS_KEY_ID="AKIA", AWS_PROFILE="work", AWS_ENDPOINT_URL_S3="https://s3")
    assert not {"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3"} & set(found)
    assert not Path(found["AWS_CONFIG_FILE"]).exists()
    assert not Path(found["AWS_SHARED_CREDENTIALS_FILE"]).exists()


def test_everything_is_kept_below_the_state_folder(tmp_path: Path) -> None:
    found = _prepared(tmp_path, TMPDIR="/tmp")
    for name in ("STATE_DIR", "S3_DATA_DIR", "TMPDIR"):
        assert Path(found[name]).is_relative_to(tmp_path)


def test_a_proxy_is_not_asked_for_this_machine(tmp_path: Path) -> None:
    assert _prepared(tmp_path, no_proxy="example.org")["NO_PROXY"] == "example.org,localhost,127.0.0.1"

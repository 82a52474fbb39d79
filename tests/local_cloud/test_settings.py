from pathlib import Path

import pytest

from local_cloud.settings import LocalCloudError, Settings, parse_image


def test_an_image_is_a_name_and_a_folder() -> None:
    assert parse_image("pedigree:laptop=/opt/bin") == ("pedigree:laptop", Path("/opt/bin"))


@pytest.mark.parametrize("text", ["", "name", "=folder", "name="])
def test_half_an_image_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=BIN_DIR"):
        parse_image(text)


def test_an_image_without_its_executables_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train").touch()
    with pytest.raises(LocalCloudError, match="no serve there"):
        Settings(tmp_path, 1000, 1001, {"image": tmp_path})


def test_one_port_for_both_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="two different ports"):
        Settings(tmp_path, 4566, 4566)

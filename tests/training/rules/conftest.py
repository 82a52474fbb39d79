"""smdebug's generated protobuf code and its use of numpy are deprecated; that is its authors' affair."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            for kind in (DeprecationWarning, ImportWarning):
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{kind.__name__}"))

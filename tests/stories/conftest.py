"""Stories start and stop whole processes: on a busy machine that takes longer than other tests."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
LIMIT_S = 180


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each story that has no time limit of its own a longer one."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMIT_S))

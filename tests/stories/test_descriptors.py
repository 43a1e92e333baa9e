"""A daemon asks for the descriptors it may have, whatever its shell gave it at first."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.daemon.listening import MOST_FILES
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, SCRIPTED


@pytest.fixture
def few_files() -> Iterator[int]:
    """What a child inherits, few for now; gives the most it may ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_the_limit_of_descriptors_is_raised_at_the_start(
    tmp_path: Path, few_files: int
) -> None:
    async with GatewayProcess(tmp_path, config=SCRIPTED + DESK) as gateway:
        await gateway.start()

        soft, _ = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)

    assert soft == min(few_files, MOST_FILES)

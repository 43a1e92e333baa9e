"""Fixtures of the native API's tests."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.api.native.gateway import Gateway, running


class Start(Protocol):
    """Starts a gateway with settings of its own."""

    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[Gateway]: ...


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """`async with start(ping_s=0.1) as gateway`."""

    def begin(**settings: Any) -> AbstractAsyncContextManager[Gateway]:
        return running(tmp_path, **settings)

    return begin


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway with ordinary settings."""
    async with running(tmp_path) as started:
        yield started

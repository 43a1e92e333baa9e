"""The services over a store that another process works on: turns made here run there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.config.values import Config
from gateway.daemon.parts import Parts, build
from gateway.registry import Registry
from gateway.store.open import open_store


@asynccontextmanager
async def waiting(config: Config, *, registry: Registry) -> AsyncIterator[Parts]:
    """Everything built and nothing started, beside a running daemon; no lock is taken."""
    async with (
        open_store(config.settings.store.url, lock=False) as store,
        build(config, store, registry=registry, runs_turns=False) as parts,
    ):
        yield parts

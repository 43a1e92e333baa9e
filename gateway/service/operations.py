"""OperationsService: what an operator asks of the store, over all projects.

Reads only. Prints nothing: the command line and the console do.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.ids import ProjectId
from gateway.store.protocol import Store
from gateway.store.protocol.coordination import Finding

__all__ = ["Finding", "OperationsService"]


class OperationsService:
    """An operator's view of everything that is stored."""

    def __init__(self, store: Store, *, projects: Sequence[ProjectId]) -> None:
        self._store = store
        self._projects = projects

    async def verify(self) -> Sequence[Finding]:
        """The broken invariants of the whole store; empty = all hold."""
        return await self._store.verify()

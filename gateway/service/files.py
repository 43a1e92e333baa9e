"""FileService: files that callers bring, and those that people sent.

A caller reaches the files of its project; a key for some bots not those that only other bots' talks
use. What it does not reach is NotFound.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace

from gateway.domain.access import Principal
from gateway.domain.conversation import ContentPart, FilePart
from gateway.domain.files import StoredFile, find_type
from gateway.domain.ids import FileId
from gateway.errors import NotFound
from gateway.flow.file_bytes import FileWriter, file_bytes
from gateway.store.protocol import Store

__all__ = ["FileService"]


class FileService:
    """Files, for callers."""

    def __init__(self, store: Store, *, max_bytes: int) -> None:
        self._store = store
        self._max_bytes = max_bytes

    async def keep(
        self,
        principal: Principal,
        pieces: AsyncIterator[bytes],
        *,
        name: str | None,
        mime: str | None,
    ) -> StoredFile:
        """Store a file as its bytes come; nothing is left of one that breaks off.

        Raises TooLarge, and whatever `pieces` raises.
        """
        writer = FileWriter(self._store, principal.project_id, max_bytes=self._max_bytes)
        is_kept = False
        try:
            async for piece in pieces:
                await writer.add(piece)
            found = find_type(writer.head, claimed=mime)
            stored = await writer.keep(name=name, mime=found.mime, kind=found.kind)
            is_kept = True
            return stored
        finally:
            if not is_kept:
                await writer.drop()

    async def file(self, principal: Principal, file_id: FileId) -> StoredFile:
        """One file; raises NotFound."""
        stored = await self._store.file(principal.project_id, file_id)
        if stored is None or not await self._is_reached(principal, file_id):
            raise NotFound("There is no such file.")
        return stored

    def content(self, stored: StoredFile) -> AsyncGenerator[bytes, None]:
        """The bytes of a file that was found before; raises NotFound when it goes meanwhile."""
        return file_bytes(self._store, stored.project_id, stored.id)

    async def filled(
        self, principal: Principal, content: Sequence[ContentPart]
    ) -> tuple[ContentPart, ...]:
        """The content with all that is known of its files; raises NotFound."""
        return tuple(
            [
                await self._filled(principal, part) if isinstance(part, FilePart) else part
                for part in content
            ]
        )

    async def _filled(self, principal: Principal, part: FilePart) -> FilePart:
        stored = await self.file(principal, FileId(part.ref))
        return replace(
            part,
            name=stored.name,
            mime=stored.mime,
            size_bytes=stored.size_bytes,
            kind=stored.kind,
            state="stored",
        )

    async def _is_reached(self, principal: Principal, file_id: FileId) -> bool:
        """Whether somebody whom the caller reaches uses the file, or nobody does yet."""
        if not principal.bots and principal.session_id is None:
            return True
        uses = await self._store.file_uses(principal.project_id, file_id)
        return not uses or any(
            principal.session_id in (None, use.session_id) and principal.may_use(use.bot)
            for use in uses
        )

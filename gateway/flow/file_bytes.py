"""Bytes into stored files and out of them, never more than a piece of them in memory.

Knows nothing of where they come from or go to.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator

import structlog

from gateway.domain.files import HEAD_BYTES, PIECE_BYTES, FileKind, StoredFile
from gateway.domain.ids import FileId, ProjectId, SessionId, new_file_id
from gateway.errors import NotFound, StoreError, TooLarge
from gateway.store.protocol import Store
from gateway.store.protocol.files import NewFile

log = structlog.get_logger(__name__)


class FileWriter:
    """Takes the bytes of one file; ends with `keep` or `drop`.

    `max_bytes` may be lowered while it grows. `head` is the beginning, up to `HEAD_BYTES`.
    """

    def __init__(self, store: Store, project_id: ProjectId, *, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size_bytes = 0
        self.head = b""
        self._store = store
        self._project_id = project_id
        self._id = new_file_id()
        self._sum = hashlib.sha256()
        self._waiting = bytearray()
        self._pieces = 0

    @property
    def sha256(self) -> bytes:
        """The digest of what has come so far."""
        return self._sum.digest()

    async def add(self, data: bytes) -> None:
        """Take more bytes; raises TooLarge, and StoreError."""
        self.size_bytes += len(data)
        if self.size_bytes > self.max_bytes:
            raise TooLarge(f"The file is over {self.max_bytes} bytes.")
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]
        self._sum.update(data)
        self._waiting += data
        while len(self._waiting) >= PIECE_BYTES:
            await self._write()

    async def keep(
        self,
        *,
        name: str | None,
        mime: str,
        kind: FileKind,
        origin: str | None = None,
        session_id: SessionId | None = None,
    ) -> StoredFile:
        """Make a file of what was taken; raises StoreError."""
        while self._waiting:
            await self._write()
        return await self._store.keep_file(
            NewFile(
                id=self._id,
                project_id=self._project_id,
                name=name,
                mime=mime,
                kind=kind,
                size_bytes=self.size_bytes,
                sha256=self.sha256,
                origin=origin,
                session_id=session_id,
            )
        )

    async def drop(self) -> None:
        """Remove what was written; where the store is away a sweep does it later."""
        if not self._pieces:
            return
        try:
            await self._store.drop_pieces(self._project_id, self._id)
        except StoreError as error:
            log.warning("file_pieces_left", file_id=self._id, code=error.code)

    async def _write(self) -> None:
        piece = bytes(self._waiting[:PIECE_BYTES])
        number, self._pieces = self._pieces, self._pieces + 1
        await self._store.add_piece(self._project_id, self._id, number=number, data=piece)
        del self._waiting[:PIECE_BYTES]


async def file_bytes(
    store: Store, project_id: ProjectId, file_id: FileId
) -> AsyncGenerator[bytes, None]:
    """The bytes of a stored file, in pieces; raises NotFound, also when it goes meanwhile."""
    stored = await store.file(project_id, file_id)
    if stored is None:
        raise NotFound("There is no such file.")
    left = stored.size_bytes
    number = 0
    while left:
        piece = await store.file_piece(project_id, file_id, number=number)
        if not piece:
            raise NotFound("The file is gone.")
        yield piece
        left -= len(piece)
        number += 1


async def whole_file(store: Store, project_id: ProjectId, file_id: FileId) -> bytes:
    """All bytes of a stored file that is known to be small; raises NotFound."""
    return b"".join([piece async for piece in file_bytes(store, project_id, file_id)])

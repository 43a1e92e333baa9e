"""Files and their pieces."""

from __future__ import annotations

import sqlite3

from gateway.domain.conversation import FilePart, Message
from gateway.domain.files import StoredFile
from gateway.domain.ids import FileId, MessageId, ProjectId, SessionId
from gateway.domain.turns import Lease
from gateway.errors import StoreError
from gateway.store.protocol.files import FileUse, NewFile
from gateway.store.rows import clean_or_none, to_file
from gateway.store.sqlite.area import Area
from gateway.store.sqlite.file_uses import replace_part, use_file
from gateway.store.sqlite.finish import holds_lease

_BEGIN = """
INSERT INTO file_draft (project_id, file_id, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""
_ADD_PIECE = """
INSERT INTO file_piece (project_id, file_id, piece_no, data) VALUES (?, ?, ?, ?)
"""
_WRITTEN = """
SELECT coalesce(sum(length(data)), 0), count(*), coalesce(max(piece_no) + 1, 0)
  FROM file_piece WHERE project_id = ? AND file_id = ?
"""
_NEXT_NUMBER = """
INSERT INTO project (project_id, files) VALUES (?, 1)
    ON CONFLICT DO UPDATE SET files = files + 1
RETURNING files
"""
_KEEP = """
INSERT INTO file (project_id, file_id, number, origin, name, mime, kind, size_bytes, sha256,
                  created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_END_DRAFT = "DELETE FROM file_draft WHERE project_id = ? AND file_id = ?"
_ONE = "SELECT * FROM file_row WHERE project_id = ? AND file_id = ?"
_OF_ORIGIN = """
SELECT r.* FROM file AS f INDEXED BY file_by_origin
  JOIN file_row AS r ON r.project_id = f.project_id AND r.file_id = f.file_id
 WHERE f.project_id = ? AND f.origin = ?
"""
_PIECE = """
SELECT p.data FROM file AS f
  JOIN file_piece AS p ON p.project_id = f.project_id AND p.file_id = f.file_id
 WHERE f.project_id = ? AND f.file_id = ? AND p.piece_no = ?
"""
_USES = """
SELECT u.session_id, s.bot FROM file_use AS u INDEXED BY file_use_by_file
  JOIN session AS s ON s.project_id = u.project_id AND s.session_id = u.session_id
 WHERE u.project_id = ? AND u.file_id = ?
 ORDER BY u.session_id
"""


class SqliteFiles(Area):
    """Files, in one SQLite file."""

    async def add_piece(
        self, project_id: ProjectId, file_id: FileId, *, number: int, data: bytes
    ) -> None:
        """Write the next piece of a file that is not kept yet."""

        def operation(db: sqlite3.Connection) -> None:
            if number == 0:
                db.execute(_BEGIN, (project_id, file_id, self._clock()))
            db.execute(_ADD_PIECE, (project_id, file_id, number, data))

        await self._writer.run(operation)

    async def keep_file(self, new: NewFile) -> StoredFile:
        """Make a file of the pieces, or give the one that came from there before."""

        def operation(db: sqlite3.Connection) -> StoredFile:
            now = self._clock()
            stored = _find_origin(db, new.project_id, new.origin) or _keep(db, new, now)
            db.execute(_END_DRAFT, (new.project_id, new.id))
            if new.session_id is not None:
                use_file(db, new.project_id, new.session_id, file_id=stored.id, now=now)
            return stored

        return await self._writer.run(operation)

    async def drop_pieces(self, project_id: ProjectId, file_id: FileId) -> None:
        """Remove what was written of a file that will not be kept."""
        await self._writer.run(lambda db: db.execute(_END_DRAFT, (project_id, file_id)).rowcount)

    async def file(self, project_id: ProjectId, file_id: FileId) -> StoredFile | None:
        """One file, or None."""
        row = await self._readers.one(_ONE, (project_id, file_id))
        return None if row is None else to_file(row)

    async def file_of_origin(
        self, project_id: ProjectId, origin: str, *, session_id: SessionId
    ) -> StoredFile | None:
        """The file that came from there, used by that session from now on; or None."""

        def operation(db: sqlite3.Connection) -> StoredFile | None:
            stored = _find_origin(db, project_id, origin)
            if stored is not None:
                use_file(db, project_id, session_id, file_id=stored.id, now=self._clock())
            return stored

        return await self._writer.run(operation)

    async def file_piece(
        self, project_id: ProjectId, file_id: FileId, *, number: int
    ) -> bytes | None:
        """One piece of a kept file, or None."""
        row = await self._readers.one(_PIECE, (project_id, file_id, number))
        return None if row is None else row[0]

    async def file_uses(self, project_id: ProjectId, file_id: FileId) -> list[FileUse]:
        """The sessions that use a file."""
        rows = await self._readers.all(_USES, (project_id, file_id))
        return [FileUse(SessionId(session_id), bot) for session_id, bot in rows]

    async def settle_file(
        self, lease: Lease, message_id: MessageId, *, earlier: FilePart, settled: FilePart
    ) -> Message | None:
        """Put a file's new state into a message of the leased session."""

        def operation(db: sqlite3.Connection) -> Message | None:
            if not holds_lease(db, lease):
                return None
            return replace_part(
                db,
                lease.project_id,
                message_id,
                earlier=earlier,
                settled=settled,
                recent=self._recent,
            )

        return await self._writer.run(operation)


def _find_origin(db: sqlite3.Connection, project_id: str, origin: str | None) -> StoredFile | None:
    if origin is None:
        return None
    row = db.execute(_OF_ORIGIN, (project_id, clean_or_none(origin))).fetchone()
    return None if row is None else to_file(row)


def _keep(db: sqlite3.Connection, new: NewFile, now: int) -> StoredFile:
    key = (new.project_id, new.id)
    size_bytes, pieces, end = db.execute(_WRITTEN, key).fetchone()
    if size_bytes != new.size_bytes or pieces != end:
        raise StoreError("A piece of the file is missing.")
    number = db.execute(_NEXT_NUMBER, (new.project_id,)).fetchone()[0]
    name, origin = clean_or_none(new.name), clean_or_none(new.origin)
    values = (*key, number, origin, name, new.mime, new.kind, size_bytes, new.sha256, now)
    db.execute(_KEEP, values)
    return to_file(db.execute(_ONE, key).fetchone())

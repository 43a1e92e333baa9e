"""Files: bytes in pieces, where they came from, and what of them stands in a message.

A file is written piece by piece, each in a commit of its own; `keep_file` makes it one. Until then
nobody sees it, and what a dead process left of it is swept away. A stored file lives as long as a
session that uses it; one that no message has ever used lives for a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.domain.conversation import FilePart, Message
from gateway.domain.files import FileKind, StoredFile
from gateway.domain.ids import FileId, MessageId, ProjectId, SessionId
from gateway.domain.turns import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A file whose pieces are all written.

    `origin` says where on a platform it came from, and is fetched once for a project; None = it
    came by a call. `session_id` is the session that uses it from the start.
    """

    id: FileId
    project_id: ProjectId
    name: str | None
    mime: str
    kind: FileKind
    size_bytes: int
    sha256: bytes
    origin: str | None = None
    session_id: SessionId | None = None


@dataclass(frozen=True, slots=True)
class FileUse:
    """A session that uses a file, and its bot."""

    session_id: SessionId
    bot: str


class FileStore(Protocol):
    """Files, and the places in messages where they stand."""

    async def add_piece(
        self, project_id: ProjectId, file_id: FileId, *, number: int, data: bytes
    ) -> None:
        """Write the next piece of a file that is not kept yet; the first has the number 0."""
        ...

    async def keep_file(self, new: NewFile) -> StoredFile:
        """Make a file of the pieces.

        When there is one of that origin already, that one is given and the pieces go. Raises
        StoreError when pieces are missing.
        """
        ...

    async def drop_pieces(self, project_id: ProjectId, file_id: FileId) -> None:
        """Remove what was written of a file that will not be kept; harmless for any other."""
        ...

    async def file(self, project_id: ProjectId, file_id: FileId) -> StoredFile | None:
        """One file, or None."""
        ...

    async def file_of_origin(
        self, project_id: ProjectId, origin: str, *, session_id: SessionId
    ) -> StoredFile | None:
        """The file that came from there, used by that session from now on; or None."""
        ...

    async def file_piece(
        self, project_id: ProjectId, file_id: FileId, *, number: int
    ) -> bytes | None:
        """One piece of a kept file; None behind the last, or when the file is gone."""
        ...

    async def file_uses(self, project_id: ProjectId, file_id: FileId) -> list[FileUse]:
        """The sessions that use a file."""
        ...

    async def settle_file(
        self, lease: Lease, message_id: MessageId, *, earlier: FilePart, settled: FilePart
    ) -> Message | None:
        """Put a file's new state into a message of the leased session; the message as it stands.

        Only that part changes, whatever else was done to the message meanwhile. None = nothing was
        written, as the lease does not hold or the message is gone.
        """
        ...

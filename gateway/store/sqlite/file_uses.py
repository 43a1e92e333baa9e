"""Which session uses which file, and a file's place in a stored message.

Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from gateway.domain.conversation import ContentPart, FilePart, Message
from gateway.store.rows import from_content, to_message
from gateway.store.sqlite.recent import Recent

_USE = """
INSERT INTO file_use (project_id, session_id, file_id)
SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM file WHERE project_id = ?1 AND file_id = ?3)
    ON CONFLICT DO NOTHING
"""
_IS_USED = """
UPDATE file SET used_at = ? WHERE project_id = ? AND file_id = ? AND used_at IS NULL
"""
_LEAVE = """
DELETE FROM file_use
 WHERE project_id = ?1 AND session_id = ?2 AND file_id = ?3
   AND NOT EXISTS (SELECT 1 FROM message AS m
                    WHERE m.project_id = ?1 AND m.session_id = ?2 AND instr(m.parts, ?3) > 0)
"""
_MESSAGE = "SELECT * FROM message_row WHERE project_id = ? AND message_id = ?"
_REPLACE = "UPDATE message SET text = ?, parts = ? WHERE project_id = ? AND message_id = ?"


def use_file(
    db: sqlite3.Connection, project_id: str, session_id: str, *, file_id: str, now: int
) -> None:
    """Let a session use a stored file; one that is not there is not used."""
    db.execute(_USE, (project_id, session_id, file_id))
    db.execute(_IS_USED, (now, project_id, file_id))


def use_files(
    db: sqlite3.Connection,
    project_id: str,
    session_id: str,
    content: Iterable[ContentPart],
    *,
    now: int,
) -> None:
    """Let a session use the stored files of a message's content."""
    for part in content:
        if isinstance(part, FilePart) and part.state != "given":
            use_file(db, project_id, session_id, file_id=part.ref, now=now)


def leave_files(
    db: sqlite3.Connection, project_id: str, session_id: str, content: Iterable[ContentPart]
) -> None:
    """Let go of the files of a removed message, but for those that another of the session has."""
    for part in content:
        if isinstance(part, FilePart) and part.state != "given":
            db.execute(_LEAVE, (project_id, session_id, part.ref))


def replace_part(
    db: sqlite3.Connection,
    project_id: str,
    message_id: str,
    *,
    earlier: FilePart,
    settled: FilePart,
    recent: Recent,
) -> Message | None:
    """Write one part of a message anew; the message as it stands, None when there is none."""
    key = (project_id, message_id)
    row = db.execute(_MESSAGE, key).fetchone()
    if row is None:
        return None
    message = to_message(row)
    content = tuple([settled if part == earlier else part for part in message.content])
    db.execute(_REPLACE, (*from_content(content), *key))
    recent.forget_session(project_id, row[15])
    return to_message(db.execute(_MESSAGE, key).fetchone())

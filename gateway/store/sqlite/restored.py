"""What a restored store does not know: what was sent and answered after its backup was made."""

from __future__ import annotations

import sqlite3

from gateway.store.rows import to_json
from gateway.store.sqlite.area import Area

MAY_BE_SENT = "restored: it may have been sent after the backup was made"

_HOLD = """
UPDATE outbox INDEXED BY outbox_lane
   SET state = 'held', error = ?, next_at = NULL, owner = NULL, settled_at = ?
 WHERE settled_at IS NULL AND state <> 'open'
"""
# An empty part takes back a message that was still growing: it may have become an answer since.
_LEAVE_SHOWN = """
UPDATE outbox INDEXED BY outbox_lane
   SET state = 'cancelled', error = ?, next_at = NULL, owner = NULL, settled_at = ?
 WHERE settled_at IS NULL AND state <> 'open' AND part = '{}'
"""
_UNFINISHED = """
SELECT project_id, turn_id FROM turn INDEXED BY turn_unfinished WHERE finished_at IS NULL
"""
_FORGET_INSTANCES = "DELETE FROM instance"
_RECORD = "INSERT INTO audit (project_id, action, target, detail, at) VALUES ('', ?, ?, ?, ?)"


class SqliteRestored(Area):
    """What is done to a store between a restore and its first start."""

    async def hold_deliveries(self) -> int:
        """Hold everything that was on its way, for an operator to decide; how many."""

        def operation(db: sqlite3.Connection) -> int:
            why = (MAY_BE_SENT, self._clock())
            db.execute(_LEAVE_SHOWN, why)
            return db.execute(_HOLD, why).rowcount

        return await self._writer.run(operation)

    async def turns_under_way(self) -> list[tuple[str, str]]:
        """(project, turn) of every turn that is not over."""
        return [(row[0], row[1]) for row in await self._readers.all(_UNFINISHED)]

    async def record_restore(self, *, source: str, held: int, cancelled: int) -> None:
        """Write into the audit that the store was restored; forget the processes of that time."""
        detail = to_json({"held": held, "cancelled": cancelled})

        def operation(db: sqlite3.Connection) -> None:
            db.execute(_FORGET_INSTANCES)
            db.execute(_RECORD, ("store_restored", source, detail, self._clock()))

        await self._writer.run(operation)

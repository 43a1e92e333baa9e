"""Accepting (T1): a batch of entries and the platform's cursor, one operation, all or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from gateway.contract import Address
from gateway.domain.conversation import Session
from gateway.domain.ids import ProjectId
from gateway.domain.policy import QueueLimits
from gateway.store.protocol.inbox import (
    Accepted,
    ClaimTerms,
    Cursor,
    EditMessage,
    Entry,
    KeepUnreadable,
    MoveAddress,
    NewTurn,
    ReportDelivery,
    SetReachability,
)
from gateway.store.rows import clean, to_session, to_time
from gateway.store.sqlite.area import Area
from gateway.store.sqlite.arrivals import Batch, accept_turn
from gateway.store.sqlite.dedupe import find_copy, remember_event
from gateway.store.sqlite.entries import (
    edit_message,
    move_address,
    set_reachability,
)
from gateway.store.sqlite.recent import Recent
from gateway.store.sqlite.reports import report_delivery

_CURSOR = "SELECT value FROM cursor WHERE account = ? AND name = ?"
_PUT_CURSOR = """
INSERT INTO cursor (account, name, value, updated_at) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
"""
_HEARD_AT = """
SELECT last_inbound_at FROM address
 WHERE project_id = ? AND channel = ? AND account = ? AND chat = ? AND thread = ?
"""
_SESSION_AT = """
SELECT s.* FROM address AS a
  JOIN session_row AS s ON s.project_id = a.project_id AND s.session_id = a.session_id
 WHERE a.project_id = ? AND a.channel = ? AND a.account = ? AND a.chat = ? AND a.thread = ?
"""

Notice = EditMessage | MoveAddress | SetReachability | ReportDelivery | KeepUnreadable


class SqliteInbox(Area):
    """Accepting, in one SQLite file."""

    async def accept(
        self,
        entries: Sequence[Entry],
        *,
        limits: QueueLimits,
        claim: ClaimTerms | None = None,
        cursor: Cursor | None = None,
    ) -> list[Accepted]:
        """Write a batch durably, in order; one `Accepted` an entry."""

        def operation(db: sqlite3.Connection) -> list[Accepted]:
            now = self._clock()
            claims_left = claim.limit if claim else 0
            batch = Batch(now, limits, claim, claims_left, self._recent)
            accepted = [_accept(db, entry, batch) for entry in entries]
            if cursor is not None:
                value = (clean(cursor.account), clean(cursor.name), clean(cursor.value), now)
                db.execute(_PUT_CURSOR, value)
            return accepted

        return await self._writer.run(operation)

    async def cursor(self, account: str, name: str) -> str | None:
        """The last committed cursor of that name, or None."""
        row = await self._readers.one(_CURSOR, (account, name))
        return None if row is None else row[0]

    async def heard_at(
        self, project_id: ProjectId, *, account: str, address: Address
    ) -> datetime | None:
        """When a person last wrote at that address, or None."""
        chat, thread = clean(address.chat), clean(address.thread or "")
        key = (project_id, address.channel, clean(account), chat, thread)
        row = await self._readers.one(_HEARD_AT, key)
        return None if row is None or row[0] is None else to_time(row[0])

    async def session_at(
        self, project_id: ProjectId, *, account: str, address: Address
    ) -> Session | None:
        """The session that is current at that address, or was the last one; None = none."""
        chat, thread = clean(address.chat), clean(address.thread or "")
        key = (project_id, address.channel, clean(account), chat, thread)
        row = await self._readers.one(_SESSION_AT, key)
        return None if row is None else to_session(row)


def _accept(db: sqlite3.Connection, entry: Entry, batch: Batch) -> Accepted:
    if isinstance(entry, NewTurn):
        return accept_turn(db, entry, batch)
    return _accept_notice(db, entry, batch.recent, batch.now)


def _accept_notice(db: sqlite3.Connection, notice: Notice, recent: Recent, now: int) -> Accepted:
    """Write an entry that makes no turn."""
    copy = find_copy(db, notice.project_id, notice.event)
    if copy is not None:
        return copy
    accepted = Accepted(is_new=True, state="done")
    raw, reason = None, None
    match notice:
        case EditMessage():
            accepted = edit_message(db, notice, recent, now)
        case MoveAddress():
            move_address(db, notice, now)
        case SetReachability():
            set_reachability(db, notice, now)
        case ReportDelivery():
            report_delivery(db, notice, now)
        case KeepUnreadable():
            raw, reason = notice.raw, notice.reason
        case _:
            assert_never(notice)
    kind = _KINDS[type(notice)]
    remember_event(
        db, notice.project_id, notice.event, accepted, kind=kind, now=now, raw=raw, reason=reason
    )
    return accepted


_KINDS: dict[type[Notice], str] = {
    EditMessage: "edit",
    MoveAddress: "move",
    SetReachability: "reachability",
    ReportDelivery: "report",
    KeepUnreadable: "unreadable",
}

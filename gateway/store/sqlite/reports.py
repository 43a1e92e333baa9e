"""T1 for platforms' later words on deliveries: they come late, repeated and in any order.

A report only ever moves a delivery forward. A failure ends it, unless it is worth another try: that
is made once, in the part's old place of its lane.

Runs in the writer's thread only. What names an unknown delivery changes nothing.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from gateway.domain.delivery import DeliveryState
from gateway.store.protocol.inbox import ReportDelivery
from gateway.store.rows import Row, clean_or_none
from gateway.store.sqlite.clock import MICROSECONDS
from gateway.store.sqlite.columns import DeliveryAt
from gateway.store.sqlite.lanes import end_later_parts, promote, put_back

_BY_ID = "SELECT * FROM delivery_row WHERE project_id = ? AND delivery_id = ?"
_BY_PROVIDER_ID = """
SELECT d.* FROM outbox AS o INDEXED BY outbox_by_provider_id
  JOIN delivery_row AS d ON d.delivery_id = o.delivery_id
 WHERE o.project_id = ? AND o.provider_id = ? AND d.account = ?
 ORDER BY o.created_at DESC LIMIT 1
"""
_SET_RECEIPT = """
UPDATE outbox
   SET receipt = ?, error = coalesce(?, error), state = ?, settled_at = ?, next_at = ?,
       provider_id = coalesce(provider_id, ?)
 WHERE delivery_id = ?
"""
_GIVE_BACK = """
UPDATE outbox
   SET receipt = NULL, error = ?, refused_id = coalesce(?, provider_id, ''), provider_id = NULL
 WHERE delivery_id = ?
"""
_RANK: Final = {None: 0, "sent": 0, "delivered": 1, "read": 2, "failed": 3}
_DOUBTFUL = frozenset({"ambiguous", "held"})


def report_delivery(db: sqlite3.Connection, report: ReportDelivery, now: int) -> None:
    """Move a delivery forward; a doubtful one is settled by what its platform says."""
    row = _find_delivery(db, report)
    if row is None or _is_old_news(row, report):
        return
    if report.status == "failed":
        _fail(db, row, report, now)
    else:
        receipt = row[DeliveryAt.RECEIPT] if report.status == "sent" else report.status
        _set(db, row, report, receipt=receipt, state=_proven(row), now=now)


def _is_old_news(row: Row, report: ReportDelivery) -> bool:
    """Whether it says less than is known, or speaks of a try that was given back before."""
    if report.provider_id is not None and report.provider_id == row[DeliveryAt.REFUSED_ID]:
        return True
    receipt = row[DeliveryAt.RECEIPT]
    if report.status == "failed":
        return receipt is not None
    return _RANK[report.status] < _RANK[receipt]


def _proven(row: Row) -> DeliveryState:
    """The state of a delivery of which one try reached its platform for certain."""
    state: DeliveryState = row[DeliveryAt.STATE]
    was_tried = row[DeliveryAt.SENT_STARTED_AT] is not None and row[DeliveryAt.REFUSED_ID] is None
    return "sent" if state in _DOUBTFUL or (state == "pending" and was_tried) else state


def _fail(db: sqlite3.Connection, row: Row, report: ReportDelivery, now: int) -> None:
    """End what failed, or give it back for one more try; what waits for a try is left alone."""
    state: DeliveryState = row[DeliveryAt.STATE]
    if state == "pending":
        return
    if state == "sent" and report.again_in_s is not None and row[DeliveryAt.REFUSED_ID] is None:
        again_at = now + int(report.again_in_s * MICROSECONDS)
        if put_back(db, row, again_at):
            error, refused_id = clean_or_none(report.error), clean_or_none(report.provider_id)
            db.execute(_GIVE_BACK, (error, refused_id, row[DeliveryAt.DELIVERY_ID]))
            return
    is_over = state == "sent" or state in _DOUBTFUL
    _set(db, row, report, receipt="failed", state="dead" if is_over else state, now=now)


def _set(
    db: sqlite3.Connection,
    row: Row,
    report: ReportDelivery,
    *,
    receipt: str | None,
    state: DeliveryState,
    now: int,
) -> None:
    settled_at, next_at = row[DeliveryAt.SETTLED_AT], row[DeliveryAt.NEXT_AT]
    is_moved = state != row[DeliveryAt.STATE]
    if is_moved:
        settled_at, next_at = now, None
    error, provider_id = clean_or_none(report.error), clean_or_none(report.provider_id)
    db.execute(
        _SET_RECEIPT,
        (receipt, error, state, settled_at, next_at, provider_id, row[DeliveryAt.DELIVERY_ID]),
    )
    if is_moved:
        if state == "dead":
            end_later_parts(db, row, now)
        promote(db, row, now)


def _find_delivery(db: sqlite3.Connection, report: ReportDelivery) -> Row | None:
    row: Row | None = None
    if report.delivery_id is not None:
        row = db.execute(_BY_ID, (report.project_id, report.delivery_id)).fetchone()
    if row is None and report.provider_id is not None:
        key = (report.project_id, report.provider_id, report.account)
        row = db.execute(_BY_PROVIDER_ID, key).fetchone()
    return row

"""Turns that are not over for a while, with all that may keep them."""

from __future__ import annotations

from datetime import datetime

from gateway.store.protocol.lingering import LingeringTurn
from gateway.store.rows import Row, from_time, to_time, to_time_or_none, to_tool_calls
from gateway.store.sqlite.area import Area

_LINGERING = """
SELECT t.turn_id, t.project_id, t.session_id, t.state, t.kind, s.bot, s.channel, t.attempts,
       t.cancel_requested, t.ready_at,
       CASE t.state WHEN 'waiting' THEN t.waiting_at WHEN 'running' THEN t.started_at
                    ELSE t.created_at END AS since,
       t.tool_calls, s.owner, s.ready_at, i.heartbeat_at,
       (SELECT e.turn_id FROM turn AS e INDEXED BY turn_unfinished
         WHERE e.project_id = t.project_id AND e.session_id = t.session_id
           AND e.finished_at IS NULL AND e.seq < t.seq ORDER BY e.seq DESC LIMIT 1),
       (SELECT e.state FROM turn AS e INDEXED BY turn_unfinished
         WHERE e.project_id = t.project_id AND e.session_id = t.session_id
           AND e.finished_at IS NULL AND e.seq < t.seq ORDER BY e.seq DESC LIMIT 1)
  FROM turn AS t INDEXED BY turn_unfinished
  JOIN session AS s ON s.project_id = t.project_id AND s.session_id = t.session_id
  LEFT JOIN instance AS i ON i.instance_id = s.owner
 WHERE t.finished_at IS NULL AND since <= ?
 ORDER BY since LIMIT ?
"""


class SqliteLingering(Area):
    """Turns that linger, in one SQLite file."""

    async def lingering_turns(self, *, before: datetime, limit: int) -> list[LingeringTurn]:
        """Turns that have been in their state since before then, the oldest first."""
        rows = await self._readers.all(_LINGERING, (from_time(before), limit))
        return [_to_lingering(row) for row in rows]


def _to_lingering(row: Row) -> LingeringTurn:
    return LingeringTurn(
        id=row[0],
        project_id=row[1],
        session_id=row[2],
        state=row[3],
        kind=row[4],
        bot=row[5],
        channel=row[6],
        attempts=row[7],
        is_cancelled=bool(row[8]),
        not_before=to_time(row[9]),
        since=to_time(row[10]),
        calls=tuple(call.name for call in to_tool_calls(row[11])),
        owner=row[12],
        lease_until=to_time_or_none(row[13]) if row[12] else None,
        owner_seen_at=to_time_or_none(row[14]),
        behind=row[15],
        behind_state=row[16],
    )

"""The invariants of the store, each as a query that finds what breaks it.

Reads one snapshot, so that a store at work can be verified. At most a hundred findings of each kind
are given, and no more than that is ever held in memory.
"""

from __future__ import annotations

from gateway.store.protocol.coordination import Finding
from gateway.store.sqlite.readers import Readers

_MOST_FINDINGS = 100
_SENDING_TIMEOUT = 10 * 60 * 1_000_000
"""A part that is being sent for longer than this has lost its sender."""

# Each query gives (where, detail). `:before` is the time since which a send must have ended.
_INVARIANTS = {
    "pending_counts_unfinished_turns": """
SELECT s.session_id, 'pending ' || s.pending || ', queued ' || s.queued || '; really '
       || count(t.turn_id) || ' and ' || total(t.state = 'queued')
  FROM session AS s LEFT JOIN turn AS t INDEXED BY turn_unfinished
    ON t.project_id = s.project_id AND t.session_id = s.session_id AND t.finished_at IS NULL
 GROUP BY s.project_id, s.session_id
HAVING s.pending <> count(t.turn_id) OR s.queued <> total(t.state = 'queued')""",
    "queue_counters_are_right": """
SELECT coalesce(nullif(p.project_id, ''), 'all projects'),
       'counted ' || p.queued || ', really ' || really.queued
  FROM project AS p
  JOIN (SELECT q.project_id, (SELECT count(*) FROM turn AS t
                               WHERE t.finished_at IS NULL AND t.state = 'queued'
                                 AND q.project_id IN ('', t.project_id)) AS queued
          FROM project AS q) AS really ON really.project_id = p.project_id
 WHERE p.queued <> really.queued""",
    "owner_has_one_running_turn": """
SELECT s.session_id, 'owner ' || coalesce(s.owner, 'none') || ', running turns '
       || count(t.turn_id)
  FROM session AS s LEFT JOIN turn AS t INDEXED BY turn_unfinished
    ON t.project_id = s.project_id AND t.session_id = s.session_id AND t.finished_at IS NULL
   AND t.state = 'running'
 GROUP BY s.project_id, s.session_id
HAVING count(t.turn_id) <> (s.owner IS NOT NULL)""",
    "queued_session_is_ready": """
SELECT s.session_id, 'it has queued turns and will never be claimed'
  FROM session AS s
 WHERE s.ready_at IS NULL AND s.queued > 0 AND s.pending = s.queued
 UNION ALL
SELECT s.session_id, 'it is ready and has nothing queued or running'
  FROM session AS s
 WHERE s.ready_at IS NOT NULL AND s.owner IS NULL AND s.queued = 0""",
    "turn_seq_has_no_gap": """
SELECT s.session_id, 'next_seq ' || s.next_seq || ', turns ' || count(t.turn_id)
  FROM session AS s LEFT JOIN turn AS t
    ON t.project_id = s.project_id AND t.session_id = s.session_id
 GROUP BY s.project_id, s.session_id
HAVING count(t.turn_id) <> s.next_seq - 1 OR coalesce(max(t.seq), 0) <> s.next_seq - 1""",
    "message_seq_has_no_gap": """
SELECT s.session_id, 'next_message_seq ' || s.next_message_seq || ', messages '
       || count(m.seq)
  FROM session AS s LEFT JOIN message AS m
    ON m.project_id = s.project_id AND m.session_id = s.session_id
 GROUP BY s.project_id, s.session_id
HAVING count(m.seq) <> s.next_message_seq - 1
    OR coalesce(max(m.seq), 0) <> s.next_message_seq - 1""",
    "message_time_rises": """
SELECT m.message_id, 'not later than the message before'
  FROM message AS m JOIN message AS n
    ON n.project_id = m.project_id AND n.session_id = m.session_id AND n.seq = m.seq - 1
 WHERE n.created_at >= m.created_at""",
    "message_belongs_to_its_turn": """
SELECT m.message_id, 'turn ' || m.turn_id || ' is not of this session or does not reach it'
  FROM message AS m LEFT JOIN turn AS t
    ON t.project_id = m.project_id AND t.turn_id = m.turn_id
 WHERE (t.turn_id IS NULL OR t.session_id <> m.session_id
           OR m.seq NOT BETWEEN coalesce(t.first_message, 0) AND coalesce(t.last_message, -1))""",
    "message_turn_has_its_user_message": """
SELECT t.turn_id, 'no message of the user'
  FROM turn AS t
 WHERE t.kind = 'message'
   AND NOT EXISTS (SELECT 1 FROM message AS m
                    WHERE m.project_id = t.project_id AND m.session_id = t.session_id
                      AND m.seq BETWEEN t.first_message AND t.last_message
                      AND m.turn_id = t.turn_id AND m.role = 'user')""",
    "unfinished_turn_leaves_no_reply": """
SELECT t.turn_id, 'it is ' || t.state || ' and has replies already'
  FROM turn AS t
 WHERE t.finished_at IS NULL AND t.state IN ('queued', 'running') AND t.options IS NULL
   AND EXISTS (SELECT 1 FROM message AS m
                WHERE m.project_id = t.project_id AND m.session_id = t.session_id
                  AND m.seq BETWEEN t.first_message AND t.last_message
                  AND m.turn_id = t.turn_id AND m.role = 'assistant')""",
    "terminal_turn_is_finished": """
SELECT turn_id, 'state ' || state || ', finished_at ' || coalesce(finished_at, 'none')
  FROM turn
 WHERE (state IN ('done', 'failed', 'dead', 'cancelled')) <> (finished_at IS NOT NULL)""",
    "done_turn_has_its_deliveries": """
SELECT t.turn_id, 'parts ' || t.parts || ', deliveries '
       || (SELECT count(*) FROM outbox AS o
            WHERE o.project_id = t.project_id AND o.turn_id = t.turn_id)
  FROM turn AS t
 WHERE t.parts <> (SELECT count(*) FROM outbox AS o
                           WHERE o.project_id = t.project_id AND o.turn_id = t.turn_id)""",
    "event_points_to_a_turn": """
SELECT i.account || ' ' || i.event_id, 'there is no turn ' || i.turn_id
  FROM inbox AS i LEFT JOIN turn AS t
    ON t.project_id = i.project_id AND t.turn_id = i.turn_id
 WHERE i.turn_id IS NOT NULL AND t.turn_id IS NULL""",
    "sending_has_a_sender": """
SELECT delivery_id, 'sending since ' || sent_started_at || ' by ' || coalesce(owner, 'nobody')
  FROM outbox
 WHERE settled_at IS NULL AND state = 'sending' AND (owner IS NULL OR sent_started_at < :before)""",
    "open_has_an_unfinished_turn": """
SELECT o.delivery_id, 'open, and its turn is ' || t.state
  FROM outbox AS o JOIN turn AS t ON t.project_id = o.project_id AND t.turn_id = o.turn_id
 WHERE o.settled_at IS NULL AND o.state = 'open' AND t.state NOT IN ('queued', 'running')
 UNION ALL
SELECT o.delivery_id, 'open, and not the last part of its turn, or due, or of a command'
  FROM outbox AS o JOIN turn AS t ON t.project_id = o.project_id AND t.turn_id = o.turn_id
 WHERE o.settled_at IS NULL AND o.state = 'open'
   AND (o.part_no <> t.parts - 1 OR o.next_at IS NOT NULL OR o.is_command_answer)""",
    "settled_delivery_is_over": """
SELECT delivery_id, 'state ' || state || ', settled_at ' || coalesce(settled_at, 'none')
  FROM outbox
 WHERE (state IN ('pending', 'sending', 'open', 'ambiguous')) <> (settled_at IS NULL)""",
    "out_no_is_unique": """
SELECT min(delivery_id), count(*) || ' deliveries have out_no ' || out_no
  FROM outbox GROUP BY address_id, out_no HAVING count(*) > 1
 UNION ALL
SELECT o.delivery_id, 'out_no ' || o.out_no || ' was never given out'
  FROM outbox AS o JOIN address AS a ON a.address_id = o.address_id
 WHERE o.out_no >= a.next_out_no""",
    "lane_moves_from_its_front": """
SELECT o.delivery_id, 'it stands behind others and is due'
  FROM outbox AS o
 WHERE o.settled_at IS NULL AND o.is_command_answer = 0
   AND (o.state IN ('sending', 'ambiguous') OR o.next_at IS NOT NULL)
   AND EXISTS (SELECT 1 FROM outbox AS e
                WHERE e.address_id = o.address_id AND e.settled_at IS NULL
                  AND e.is_command_answer = 0 AND e.out_no < o.out_no
                  AND (o.state = 'pending' OR (e.state = 'pending' AND e.sent_started_at IS NULL)))
 UNION ALL
SELECT o.delivery_id, 'it is first of its lane and never due'
  FROM outbox AS o
 WHERE o.settled_at IS NULL AND o.is_command_answer = 0 AND o.state = 'pending'
   AND o.next_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM outbox AS e
                    WHERE e.address_id = o.address_id AND e.settled_at IS NULL
                      AND e.is_command_answer = 0 AND e.out_no < o.out_no)""",
    "file_has_all_its_pieces": """
SELECT f.file_id, 'size ' || f.size_bytes || ', its ' || count(p.piece_id) || ' pieces have '
       || coalesce(sum(length(p.data)), 0)
  FROM file AS f LEFT JOIN file_piece AS p
    ON p.project_id = f.project_id AND p.file_id = f.file_id
 GROUP BY f.project_id, f.file_id
HAVING f.size_bytes <> coalesce(sum(length(p.data)), 0)
    OR count(p.piece_id) <> coalesce(max(p.piece_no) + 1, 0)""",
    "piece_belongs_to_a_file": """
SELECT DISTINCT p.file_id, 'pieces of no file'
  FROM file_piece AS p
 WHERE NOT EXISTS (SELECT 1 FROM file AS f
                    WHERE f.project_id = p.project_id AND f.file_id = p.file_id)
   AND NOT EXISTS (SELECT 1 FROM file_draft AS d
                    WHERE d.project_id = p.project_id AND d.file_id = p.file_id)""",
    "used_file_is_used": """
SELECT f.file_id, 'used_at ' || coalesce(f.used_at, 'none') || ', uses ' || count(u.session_id)
  FROM file AS f LEFT JOIN file_use AS u
    ON u.project_id = f.project_id AND u.file_id = f.file_id
 GROUP BY f.project_id, f.file_id
HAVING (f.used_at IS NOT NULL) <> (count(u.session_id) > 0)""",
}


async def verify(readers: Readers, *, now: int) -> list[Finding]:
    """Look for everything that breaks an invariant."""
    findings: list[Finding] = []
    async with readers.snapshot() as query:
        for name, sql in _INVARIANTS.items():
            rows = await query(sql, {"before": now - _SENDING_TIMEOUT}, _MOST_FINDINGS)
            findings += [Finding(name, str(row[0]), str(row[1])) for row in rows]
    return findings

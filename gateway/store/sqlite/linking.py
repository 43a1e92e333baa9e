"""Link codes and merging: two participants turn out to be one person.

A code belongs to a participant. Who sends it on another channel becomes that participant, with all
identities, sessions and documents. Only the hash of a code is stored, and it works once. Runs in
the writer's thread only.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from gateway.domain.ids import ParticipantId
from gateway.domain.people import WRONG_CODES_AN_HOUR
from gateway.store.protocol.doorway import LinkAttempt, Words
from gateway.store.rows import from_json, to_json, to_json_always
from gateway.store.sqlite.consent import Person

_FIND_CODE = """
SELECT participant_id, expires_at, redeemed_by FROM link_code
 WHERE project_id = ? AND code_hash = ?
"""
_USE_UP = "UPDATE link_code SET redeemed_by = ? WHERE project_id = ? AND code_hash = ?"
_NOTE_WRONG = """
UPDATE identity SET wrong_codes = ? WHERE project_id = ? AND platform = ? AND external_id = ?
"""
_NOTE_LINKED = """
UPDATE identity SET linked_at = ?, wrong_codes = NULL
 WHERE project_id = ? AND platform = ? AND external_id = ?
"""
_PARTICIPANT = """
SELECT name, metadata FROM participant WHERE project_id = ? AND participant_id = ?
"""
_CHANGE_PARTICIPANT = """
UPDATE participant SET name = ?, metadata = ?, updated_at = ?
 WHERE project_id = ? AND participant_id = ?
"""
_DOCUMENTS = """
SELECT agent, value, version FROM participant_data WHERE project_id = ? AND participant_id = ?
"""
_PUT_DOCUMENT = """
INSERT INTO participant_data (project_id, participant_id, agent, value, version)
VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET value = excluded.value, version = excluded.version
"""
_MOVE_IDENTITIES = """
UPDATE identity INDEXED BY identity_by_participant
   SET origin_participant_id = coalesce(origin_participant_id, participant_id), participant_id = ?
 WHERE project_id = ? AND participant_id = ?
"""
_MOVE_SESSIONS = """
UPDATE session INDEXED BY session_by_participant
   SET participant_id = ?, version = version + 1
 WHERE project_id = ? AND participant_id = ?
"""
_MOVE_CODES = """
UPDATE link_code INDEXED BY link_code_by_participant SET participant_id = ?
 WHERE project_id = ? AND participant_id = ?
"""
_MOVE_ALIASES = """
UPDATE participant_alias INDEXED BY participant_alias_by_target SET participant_id = ?
 WHERE project_id = ? AND participant_id = ?
"""
_ADD_ALIAS = """
INSERT INTO participant_alias (alias_id, participant_id, project_id, merged_at) VALUES (?, ?, ?, ?)
"""
_REMOVE = "DELETE FROM participant WHERE project_id = ? AND participant_id = ?"

_HOUR = 3600 * 1_000_000
_MAX_METADATA = 16


def redeem(
    db: sqlite3.Connection,
    person: Person,
    attempt: LinkAttempt,
    *,
    identity_id: str,
    wrong_codes: str | None,
    now: int,
) -> tuple[Words, ParticipantId | None]:
    """Try a code for an identity: what to tell, and whose identity it now is (None = as before).

    After too many wrong codes within an hour even a right one is refused, and stays unused.
    """
    recent = [at for at in json.loads(wrong_codes or "[]") if now - at < _HOUR]
    if len(recent) >= WRONG_CODES_AN_HOUR:
        return attempt.too_many, None
    key = (person[0], attempt.code_hash)
    row = db.execute(_FIND_CODE, key).fetchone()
    if row is None or row[1] <= now or row[2] not in (None, identity_id):
        db.execute(_NOTE_WRONG, (json.dumps([*recent, now]), *person))
        return attempt.wrong, None
    db.execute(_USE_UP, (identity_id, *key))
    db.execute(_NOTE_LINKED, (now, *person))
    return attempt.linked, row[0]


def merge(db: sqlite3.Connection, project_id: str, source: str, target: str, *, now: int) -> None:
    """Make one participant of two; the source's id leads to the target from now on.

    Where both say something of a person (name, metadata, documents), the target is believed.
    """
    into = (target, project_id, source)
    _merge_participants(db, project_id, source, target, now)
    _merge_documents(db, project_id, source, target)
    for statement in (_MOVE_IDENTITIES, _MOVE_SESSIONS, _MOVE_CODES, _MOVE_ALIASES):
        db.execute(statement, into)
    db.execute(_REMOVE, (project_id, source))
    db.execute(_ADD_ALIAS, (source, target, project_id, now))


def _merge_participants(
    db: sqlite3.Connection, project_id: str, source: str, target: str, now: int
) -> None:
    name, metadata = db.execute(_PARTICIPANT, (project_id, target)).fetchone()
    other_name, other_metadata = db.execute(_PARTICIPANT, (project_id, source)).fetchone()
    known = {**from_json(metadata), **from_json(other_metadata), **from_json(metadata)}
    kept = to_json(dict(list(known.items())[:_MAX_METADATA]))
    db.execute(_CHANGE_PARTICIPANT, (name or other_name, kept, now, project_id, target))


def _merge_documents(db: sqlite3.Connection, project_id: str, source: str, target: str) -> None:
    rows = db.execute(_DOCUMENTS, (project_id, target)).fetchall()
    kept = {agent: (from_json(value), version) for agent, value, version in rows}
    for agent, value, version in db.execute(_DOCUMENTS, (project_id, source)).fetchall():
        own, own_version = kept.get(agent, ({}, 0))
        text = to_json_always(_merged(own, from_json(value)))
        db.execute(_PUT_DOCUMENT, (project_id, target, agent, text, max(version, own_version) + 1))


def _merged(own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Everything of both, objects inside too; where they differ, `own` stays.

    >>> _merged({"a": 1, "b": {"c": 2}}, {"a": 9, "b": {"d": 3}, "e": 4})
    {'a': 1, 'b': {'c': 2, 'd': 3}, 'e': 4}
    """
    merged = {**own}
    for name, value in other.items():
        mine = own.get(name, value)
        is_deeper = isinstance(mine, Mapping) and isinstance(value, Mapping)
        merged[name] = _merged(mine, value) if is_deeper else mine
    return merged

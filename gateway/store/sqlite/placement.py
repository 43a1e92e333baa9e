"""Where a new turn belongs: which person, which address, which session; made when they are new.

Runs in the writer's thread only, as the first step of accepting.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from gateway.contract import Address
from gateway.domain.ids import (
    ParticipantId,
    SessionId,
    new_identity_id,
    new_participant_id,
    new_session_id,
)
from gateway.domain.people import IdentityKey
from gateway.errors import Conflict, NotFound
from gateway.store.protocol.inbox import NewTurn
from gateway.store.rows import clean, clean_or_none, to_json
from gateway.store.sqlite.columns import SessionAt
from gateway.store.sqlite.lanes import put_address
from gateway.store.sqlite.sessions import Sheet, load_sheet

_FIND_PARTICIPANT = "SELECT 1 FROM participant WHERE project_id = ? AND participant_id = ?"
_FIND_ALIAS = "SELECT participant_id FROM participant_alias WHERE project_id = ? AND alias_id = ?"
_ADD_PARTICIPANT = """
INSERT INTO participant (project_id, participant_id, name, created_at, updated_at)
VALUES (?, ?, ?, ?, ?)
"""
_FIND_IDENTITY = """
SELECT participant_id, name FROM identity
 WHERE project_id = ? AND platform = ? AND external_id = ?
"""
_ADD_IDENTITY = """
INSERT INTO identity (project_id, platform, external_id, identity_id, participant_id, name,
                      created_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_RENAME_IDENTITY = """
UPDATE identity SET name = ? WHERE project_id = ? AND platform = ? AND external_id = ?
"""
_ADD_SESSION = """
INSERT INTO session (project_id, session_id, bot, channel, participant_id, address_id, agent,
                     metadata, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SET_CURRENT = """
UPDATE address SET session_id = ?, last_inbound_at = ?, is_reachable = ? WHERE address_id = ?
"""
_SET_PERSON = "UPDATE address SET platform = ?, external_id = ? WHERE address_id = ?"
_IS_TALKED_AT = """
SELECT 1 FROM address AS a
  JOIN session AS s ON s.project_id = a.project_id AND s.session_id = a.session_id
 WHERE a.project_id = ? AND a.channel = ? AND a.account = ? AND a.chat = ? AND a.thread = ?
   AND (s.ended_at IS NULL OR s.end_reason = 'new')
"""
_END = """
UPDATE session SET ended_at = ?, end_reason = ?, version = version + 1, updated_at = ?
 WHERE project_id = ? AND session_id = ? AND ended_at IS NULL
"""
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a turn goes. `busy_told_at`: when its address was last told that we are busy."""

    sheet: Sheet
    participant_id: ParticipantId
    busy_told_at: int = 0


def find_place(db: sqlite3.Connection, new: NewTurn, now: int) -> Place:
    """The session of a new turn, found or made.

    Raises NotFound (participant, session), Conflict (`session_ended`, `session_exists`).
    """
    if new.session_id is not None and not new.fresh_session:
        sheet = _named_session(db, new, new.session_id)
        return Place(sheet, _participant(db, new, now, sheet=sheet))
    if new.address is None:
        participant_id = _participant(db, new, now)
        return Place(_make_session(db, new, participant_id, None, now), participant_id)
    return _place_at_address(db, new, now)


def is_talked_at(db: sqlite3.Connection, new: NewTurn) -> bool:
    """Whether there is a talk at the address of a message, so that it is for us.

    A person who asked for a fresh start goes on talking; a session that others ended is over.
    """
    if new.address is None:
        return False
    return db.execute(_IS_TALKED_AT, _address_key(new, new.address)).fetchone() is not None


def find_or_make_identity(
    db: sqlite3.Connection, project_id: str, identity: IdentityKey, now: int
) -> tuple[ParticipantId, bool]:
    """The participant behind an identity; True = made now."""
    key = (project_id, identity.platform, clean(identity.external_id))
    name = clean_or_none(identity.name)
    found = db.execute(_FIND_IDENTITY, key).fetchone()
    if found is not None:
        if name is not None and name != found[1]:
            db.execute(_RENAME_IDENTITY, (name, *key))
        return found[0], False
    participant_id = add_participant(db, project_id, name, now)
    db.execute(_ADD_IDENTITY, (*key, new_identity_id(), participant_id, name, now))
    return participant_id, True


def add_participant(
    db: sqlite3.Connection, project_id: str, name: str | None, now: int
) -> ParticipantId:
    """Write a participant without an identity."""
    participant_id = new_participant_id()
    db.execute(_ADD_PARTICIPANT, (project_id, participant_id, name, now, now))
    return participant_id


def require_participant(
    db: sqlite3.Connection, project_id: str, participant_id: str
) -> ParticipantId:
    """The participant of that id, which may have been merged into another; raises NotFound."""
    if db.execute(_FIND_PARTICIPANT, (project_id, participant_id)).fetchone() is not None:
        return ParticipantId(participant_id)
    merged = db.execute(_FIND_ALIAS, (project_id, participant_id)).fetchone()
    if merged is None:
        raise NotFound("There is no such participant.")
    return ParticipantId(merged[0])


def _named_session(db: sqlite3.Connection, new: NewTurn, session_id: SessionId) -> Sheet:
    sheet = load_sheet(db, new.project_id, session_id)
    if sheet is None:
        raise NotFound("There is no such session.")
    if sheet.ended_at is not None:
        if not new.reopens:
            raise Conflict("This session has ended.", code="session_ended")
        sheet.ended_at = sheet.end_reason = None
        sheet.version += 1
    return sheet


def _participant(
    db: sqlite3.Connection, new: NewTurn, now: int, *, sheet: Sheet | None = None
) -> ParticipantId:
    """Who writes: as named, else by identity, else the session's own, else somebody new."""
    if new.participant_id is not None:
        return require_participant(db, new.project_id, new.participant_id)
    if new.identity is not None:
        return find_or_make_identity(db, new.project_id, new.identity, now)[0]
    if sheet is not None:
        return ParticipantId(sheet.row[SessionAt.PARTICIPANT_ID])
    return add_participant(db, new.project_id, None, now)


def _place_at_address(db: sqlite3.Connection, new: NewTurn, now: int) -> Place:
    address = new.address
    assert address is not None  # noqa: S101 - the caller looked
    key = _address_key(new, address)
    address_id, session_id, is_reachable, busy_told_at, has_person = put_address(db, key, now)
    sheet = None
    if session_id is not None and not new.fresh_session:
        sheet = _current_session(db, new, session_id, now)
    if sheet is not None:
        participant_id = _participant(db, new, now, sheet=sheet)
    else:
        participant_id = _participant(db, new, now)
        sheet = _make_session(db, new, participant_id, address_id, now)
    is_inbound = new.event is not None and new.kind in {"message", "command"}
    if is_inbound or sheet.session_id != session_id:
        # Who writes to us can be reached again.
        db.execute(_SET_CURRENT, (sheet.session_id, now, is_reachable or is_inbound, address_id))
    if is_inbound and new.is_direct and not has_person and new.identity is not None:
        person = (new.identity.platform, clean(new.identity.external_id))
        db.execute(_SET_PERSON, (*person, address_id))
    return Place(sheet, participant_id, busy_told_at)


def _address_key(new: NewTurn, address: Address) -> tuple[str, str, str, str, str]:
    account, chat, thread = clean(new.account), clean(address.chat), clean(address.thread or "")
    return new.project_id, address.channel, account, chat, thread


def _current_session(
    db: sqlite3.Connection, new: NewTurn, session_id: str, now: int
) -> Sheet | None:
    """The current session of an address, unless it is over; one that became idle is ended."""
    sheet = load_sheet(db, new.project_id, session_id)
    if sheet is None or sheet.ended_at is not None:
        return None
    idle = new.session_idle_s * _MICROSECONDS
    is_idle = idle > 0 and not sheet.pending and now - sheet.updated_at > idle
    if is_idle or sheet.row[SessionAt.BOT] != new.bot:
        reason = "idle" if is_idle else "bot_changed"
        db.execute(_END, (now, reason, now, new.project_id, session_id))
        return None
    return sheet


def _make_session(
    db: sqlite3.Connection,
    new: NewTurn,
    participant_id: ParticipantId,
    address_id: int | None,
    now: int,
) -> Sheet:
    session_id = new.session_id or new_session_id()
    if new.session_id is not None and load_sheet(db, new.project_id, session_id) is not None:
        raise Conflict("There is a session with this id already.", code="session_exists")
    db.execute(
        _ADD_SESSION,
        (
            new.project_id,
            session_id,
            new.bot,
            new.channel,
            participant_id,
            address_id,
            new.start_agent,
            to_json(new.session_metadata),
            now,
            now,
        ),
    )
    sheet = load_sheet(db, new.project_id, session_id)
    assert sheet is not None  # noqa: S101 - it was written in this transaction
    return sheet

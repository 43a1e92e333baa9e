"""The door in T1: who writes, and whether that is answered, refused, or kept in silence.

Takes a new turn that has found its place; gives it as it is to be written. What is decided by what
is stored of the sender is decided here, in the transaction that writes the turn: a copy of the
event changes nothing any more. Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from gateway.domain.ids import ParticipantId, SessionId
from gateway.domain.turns import TurnError
from gateway.errors import Forbidden
from gateway.store.protocol.doorway import AccessRule, Words
from gateway.store.protocol.inbox import NewTurn, TerminalTurn
from gateway.store.rows import clean
from gateway.store.sqlite.consent import Person, opt_out
from gateway.store.sqlite.linking import merge, redeem
from gateway.store.sqlite.placement import Place

_STANDING = """
SELECT identity_id, blocked, opted_out, linked_at, wrong_codes FROM identity
 WHERE project_id = ? AND platform = ? AND external_id = ?
"""
_IS_BLOCKED = """
SELECT 1 FROM identity INDEXED BY identity_by_participant
 WHERE project_id = ? AND participant_id = ? AND blocked LIMIT 1
"""
_REFUSED_AT = "SELECT refused_at FROM address WHERE address_id = ?"
_TELL_REFUSED = "UPDATE address SET refused_at = ? WHERE address_id = ?"

_MINUTE = 60 * 1_000_000

BLOCKED = TurnError("blocked", "The person is blocked; nothing was done.")
OPTED_OUT = TurnError("opted_out", "The person has opted out of messages; nothing was done.")
NOT_ADMITTED = TurnError("not_admitted", "This person may not write here; nothing was done.")


def at_the_door(
    db: sqlite3.Connection, new: NewTurn, place: Place, now: int
) -> tuple[NewTurn, Place]:
    """The turn as it is to be written, and whose it is; raises Forbidden for a blocked caller."""
    if new.event is None or new.identity is None or new.participant_id is not None:
        _check_caller(db, new, place)
        return new, place
    person = (new.project_id, new.identity.platform, clean(new.identity.external_id))
    identity_id, blocked, opted_out, linked_at, wrong_codes = db.execute(
        _STANDING, person
    ).fetchone()
    if new.terminal is not None and new.terminal.opts_out is not None:
        return new, place
    if blocked:
        return _in_silence(_hidden(new), BLOCKED), place
    if opted_out:
        return _in_silence(new, OPTED_OUT), place
    if new.link is not None:
        words, owner = redeem(
            db, person, new.link, identity_id=identity_id, wrong_codes=wrong_codes, now=now
        )
        return _answered(new, words), _moved(db, new, place, owner, now)
    if new.access is not None and not (new.access.admits == "linked" and linked_at is not None):
        return _refused(db, new, new.access, place, now), place
    return new, place


def note_consent(
    db: sqlite3.Connection, new: NewTurn, terminal: TerminalTurn, place: Place, now: int
) -> tuple[SessionId, ...]:
    """What a person says about being written to; sessions in which something is to stop."""
    if terminal.opts_out is None or new.identity is None:
        return ()
    person: Person = (new.project_id, new.identity.platform, clean(new.identity.external_id))
    return opt_out(db, person, is_opted_out=terminal.opts_out, now=now, present=place.sheet)


def _check_caller(db: sqlite3.Connection, new: NewTurn, place: Place) -> None:
    if new.kind != "message":
        return
    if db.execute(_IS_BLOCKED, (new.project_id, place.participant_id)).fetchone() is not None:
        raise Forbidden("This participant is blocked.", code="participant_blocked")


def _in_silence(new: NewTurn, why: TurnError) -> NewTurn:
    """Kept, and nothing else."""
    return replace(new, terminal=TerminalTurn(state="cancelled", error=why))


def _answered(new: NewTurn, words: Words) -> NewTurn:
    terminal = TerminalTurn(state="done", messages=(words.message,), deliveries=words.deliveries)
    return replace(new, kind="command", terminal=terminal)


def _refused(
    db: sqlite3.Connection, new: NewTurn, rule: AccessRule, place: Place, now: int
) -> NewTurn:
    """Told that they may not write here, or, if that was within the last minute, told nothing."""
    new, address_id = _hidden(new), place.sheet.address_id
    told_at = db.execute(_REFUSED_AT, (address_id,)).fetchone()
    if rule.refusal is None or told_at is None or now - told_at[0] < _MINUTE:
        return replace(_in_silence(new, NOT_ADMITTED), kind="command")
    db.execute(_TELL_REFUSED, (now, address_id))
    message = replace(rule.refusal.message, visibility="internal")
    return _answered(new, replace(rule.refusal, message=message))


def _hidden(new: NewTurn) -> NewTurn:
    """The turn with what was said kept where no model sees it, now or in a later turn."""
    message = new.message
    return replace(new, message=message and replace(message, visibility="internal"))


def _moved(
    db: sqlite3.Connection, new: NewTurn, place: Place, owner: ParticipantId | None, now: int
) -> Place:
    """The place after its person became the participant `owner`."""
    if owner is None or owner == place.participant_id:
        return place
    merge(db, new.project_id, place.participant_id, owner, now=now)
    place.sheet.version += 1
    return replace(place, participant_id=owner)

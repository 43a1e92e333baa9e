"""Ids as callers write them: a text that no id of ours can be names nothing."""

from __future__ import annotations

from gateway.domain.ids import FileId, KeyId, ParticipantId, SessionId, TurnId, is_id
from gateway.errors import NotFound


def session_id(text: str) -> SessionId:
    """The id of a session; raises NotFound."""
    if not is_id(text, "ses"):
        raise NotFound("There is no such session.")
    return SessionId(text)


def turn_id(text: str) -> TurnId:
    """The id of a turn; raises NotFound."""
    if not is_id(text, "turn"):
        raise NotFound("There is no such turn.")
    return TurnId(text)


def participant_id(text: str) -> ParticipantId:
    """The id of a participant; raises NotFound."""
    if not is_id(text, "par"):
        raise NotFound("There is no such participant.")
    return ParticipantId(text)


def key_id(text: str) -> KeyId:
    """The id of a key; raises NotFound."""
    if not is_id(text, "key"):
        raise NotFound("There is no such key.")
    return KeyId(text)


def file_id(text: str) -> FileId:
    """The id of a file; raises NotFound."""
    if not is_id(text, "file"):
        raise NotFound("There is no such file.")
    return FileId(text)

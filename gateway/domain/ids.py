"""Typed, prefixed, time-ordered ids.

An id is a prefix and 26 characters: a UUIDv7 in Crockford's base 32 (lower case), so ids sort
by the time they were made. Foreign surfaces show the same 128 bits as a UUID or under another
prefix.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from typing import NewType

ProjectId = NewType("ProjectId", str)
SessionId = NewType("SessionId", str)
TurnId = NewType("TurnId", str)
MessageId = NewType("MessageId", str)
ParticipantId = NewType("ParticipantId", str)
IdentityId = NewType("IdentityId", str)
KeyId = NewType("KeyId", str)
DeliveryId = NewType("DeliveryId", str)
FileId = NewType("FileId", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_LENGTH = 26
_RANDOM_BYTES = 4_096


def new_session_id() -> SessionId:
    """A fresh `ses_` id."""
    return SessionId("ses_" + _fresh())


def new_turn_id() -> TurnId:
    """A fresh `turn_` id."""
    return TurnId("turn_" + _fresh())


def new_message_id() -> MessageId:
    """A fresh `msg_` id."""
    return MessageId("msg_" + _fresh())


def new_participant_id() -> ParticipantId:
    """A fresh `par_` id."""
    return ParticipantId("par_" + _fresh())


def new_identity_id() -> IdentityId:
    """A fresh `idn_` id."""
    return IdentityId("idn_" + _fresh())


def new_key_id() -> KeyId:
    """A fresh `key_` id."""
    return KeyId("key_" + _fresh())


def new_delivery_id() -> DeliveryId:
    """A fresh `dlv_` id."""
    return DeliveryId("dlv_" + _fresh())


def new_file_id() -> FileId:
    """A fresh `file_` id."""
    return FileId("file_" + _fresh())


def new_request_id() -> str:
    """A fresh `req_` id: names one HTTP request in answers and logs."""
    return "req_" + _fresh()


def new_instance_id() -> str:
    """A fresh `ins_` id: names one running process."""
    return "ins_" + _fresh()


def to_uuid(identifier: str) -> uuid.UUID:
    """The 128 bits behind an id.

    Raises ValueError when it is not one of ours.

    >>> to_uuid("ses_" + from_uuid(uuid.UUID(int=7))).int
    7
    """
    body = identifier.rpartition("_")[2]
    if len(body) != _LENGTH:
        raise ValueError(f"not an id: {identifier[:40]!r}")
    number = 0
    for letter in body:
        if letter not in _VALUES:
            raise ValueError(f"not an id: {identifier[:40]!r}")
        number = number << 5 | _VALUES[letter]
    if number >> 128:
        raise ValueError(f"not an id: {identifier[:40]!r}")
    return uuid.UUID(int=number)


def from_uuid(value: uuid.UUID) -> str:
    """The 26 characters of a UUID, without a prefix."""
    return _encode(value.int)


def is_id(text: str, prefix: str) -> bool:
    """Whether the text has the form of an id with that prefix (`ses`, `turn` ...).

    >>> is_id(new_turn_id(), "turn"), is_id("turn_1", "turn")
    (True, False)
    """
    head, underscore, body = text.partition("_")
    return (
        head == prefix
        and bool(underscore)
        and len(body) == _LENGTH
        and body[0] in "01234567"
        and all(letter in _VALUES for letter in body)
    )


class _Random:
    """Random bytes of the system, asked for in large pieces: each call of it costs like an id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = b""
        self._used = 0

    def take(self, count: int) -> bytes:
        """That many bytes, which nobody gets again."""
        with self._lock:
            begin, end = self._used, self._used + count
            if end > len(self._bytes):
                self._bytes, begin, end = os.urandom(_RANDOM_BYTES), 0, count
            self._used = end
            return self._bytes[begin:end]

    def forget(self) -> None:
        """Give nothing of what is left; the other side of a fork has the same."""
        self._bytes = b""


_RANDOM = _Random()
os.register_at_fork(after_in_child=_RANDOM.forget)


def _fresh() -> str:
    """UUIDv7 (RFC 9562, 5.7): 48 bits of milliseconds, version, variant, 74 random bits."""
    random = int.from_bytes(_RANDOM.take(10), "big")
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62
    return _encode(number | (random & ((1 << 62) - 1)))


def _encode(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])

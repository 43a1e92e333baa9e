"""Telegram updates -> the values of the channel contract. Pure: no network, no clock.

Takes an update as the Bot API sends it (plain JSON, not the library's objects: nothing is converted
twice, and unknown fields cost nothing). Gives one `Inbound` value, or `Ignored` with Telegram's
word for what is nobody's message to us. It never raises: a kind we handle that cannot be read
becomes `Unreadable`, so that one broken update never blocks a chat. Shapes: Bot API, Update and
Message; read November 2026.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from channels.telegram.addressed import commanded_text, is_named, is_open, not_a_person
from channels.telegram.fields import (
    Raw,
    address_of,
    chat_address,
    optional_text,
    sender_of,
    whole_number,
)
from channels.telegram.media_in import attachments_of, content_kind, text_of
from channels.telegram.reading import Reading
from gateway.contract import (
    ActionPressed,
    Address,
    AddressMoved,
    Inbound,
    InboundMessage,
    MessageEdited,
    Reachability,
    StopPressed,
    Unreadable,
)
from gateway.contract.text import storable

_BROKEN = (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError, RecursionError)
_BUTTON_NUMBER = re.compile(r"=\d{1,3}")


@dataclass(frozen=True, slots=True)
class Ignored:
    """An update that means nothing to us; `kind` is Telegram's word for it, or its sender's."""

    kind: str


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What every value made from one update carries."""

    account: str
    external_id: str
    digest: bytes
    received_at: datetime


def inbound(
    update: object, reading: Reading, *, received_at: datetime, is_known_album: bool = False
) -> Inbound | Ignored:
    """What an update means.

    `is_known_album`: another item of its album was for us, so this one is, with or without a word.
    """
    try:
        raw = canonical(update)
    except _BROKEN:
        return unreadable(b"", reading, received_at=received_at, reason="update nested too deep")
    try:
        stamp = _stamp(update, reading, raw=raw, received_at=received_at)
        return _read(update, reading, stamp, is_known_album=is_known_album)
    except _BROKEN as error:
        reason = f"update of unexpected form ({type(error).__name__})"
        return unreadable(raw, reading, received_at=received_at, reason=reason)


def unreadable(raw: bytes, reading: Reading, *, received_at: datetime, reason: str) -> Unreadable:
    """An event kept raw for the operator; known by its digest, as it may have no id."""
    digest = _digest(raw)
    return Unreadable(
        account=reading.me.account,
        external_id=f"sha256:{digest.hex()}",
        digest=digest,
        received_at=received_at,
        raw=raw,
        reason=reason,
    )


def canonical(update: object) -> bytes:
    """The one spelling of an update, whatever order its fields came in.

    >>> canonical({"b": 1, "a": "é"}) == canonical({"a": "é", "b": 1})
    True
    """
    return json.dumps(update, sort_keys=True, separators=(",", ":")).encode()


def update_id(update: object) -> int | None:
    """The update's id, or None when it has no usable one."""
    value = update.get("update_id") if isinstance(update, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def album_of(update: object) -> str | None:
    """What the items of one album have in common, or None for any other update."""
    message = update.get("message") if isinstance(update, dict) else None
    group = message.get("media_group_id") if isinstance(message, dict) else None
    return group if isinstance(group, str) else None


def press_id(update: object) -> str | None:
    """The id under which a button press is to be answered, or None."""
    query = update.get("callback_query") if isinstance(update, dict) else None
    value = query.get("id") if isinstance(query, dict) else None
    return value if isinstance(value, str) else None


def _digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


def _stamp(update: Any, reading: Reading, *, raw: bytes, received_at: datetime) -> _Stamp:
    number = whole_number(update["update_id"])
    return _Stamp(reading.me.account, str(number), _digest(raw), received_at)


def _read(
    update: Any, reading: Reading, stamp: _Stamp, *, is_known_album: bool
) -> Inbound | Ignored:
    if "message" in update:
        return _message(update["message"], reading, stamp, is_known_album=is_known_album)
    if "callback_query" in update:
        return _press(update["callback_query"], reading, stamp)
    if "edited_message" in update:
        return _edit(update["edited_message"], reading, stamp)
    if "my_chat_member" in update:
        return _membership(update["my_chat_member"], reading, stamp)
    if "stopped_message_generation" in update:
        return _stopped(update["stopped_message_generation"], reading, stamp)
    return Ignored(min((kind for kind in update if kind != "update_id"), default="empty"))


def _message(
    message: Raw, reading: Reading, stamp: _Stamp, *, is_known_album: bool
) -> InboundMessage | AddressMoved | Ignored:
    if "migrate_to_chat_id" in message or "migrate_from_chat_id" in message:
        return _moved(message, reading, stamp)
    reason = _unheard(message, reading)
    if reason is not None:
        return Ignored(f"message.{reason}")
    text = commanded_text(text_of(message), reading.me)
    attachments = attachments_of(message)
    if text is None:
        return Ignored("message.command_to_another_bot")
    if not text and not attachments:
        return Ignored(f"message.{content_kind(message)}")
    if not is_known_album and not is_named(message, reading):
        return Ignored("message.to_others")
    number = whole_number(message["message_id"])
    return InboundMessage(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        address=address_of(message, reading.channel),
        sender=sender_of(message["from"]),
        text=text,
        message_ref=str(number),
        attachments=attachments,
        group_id=optional_text(message.get("media_group_id")),
        source_order=number,
        is_direct=message["chat"]["type"] == "private",
        sent_at=datetime.fromtimestamp(message["date"], UTC),
    )


def _unheard(message: Raw, reading: Reading) -> str | None:
    """Why a message is nobody's or comes from where we do not listen; None = it may be for us."""
    if not is_open(message["chat"], reading):
        return f"in_{storable(message['chat']['type'])}"
    return not_a_person(message)


def _moved(message: Raw, reading: Reading, stamp: _Stamp) -> AddressMoved:
    here = whole_number(message["chat"]["id"])
    old = whole_number(message.get("migrate_from_chat_id", here))
    new = whole_number(message.get("migrate_to_chat_id", here))
    return AddressMoved(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        old=Address(reading.channel, str(old)),
        new=Address(reading.channel, str(new)),
    )


def _edit(message: Raw, reading: Reading, stamp: _Stamp) -> MessageEdited | Ignored:
    """Telegram also tells of changes that nobody made; who stored the text sees if it differs."""
    reason = _unheard(message, reading)
    if reason is None and "location" in message:
        reason = "location"  # a live one moves every few seconds, and nobody wrote anything
    if reason is not None:
        return Ignored(f"edited_message.{reason}")
    text = commanded_text(text_of(message), reading.me)
    if text is None:
        return Ignored("edited_message.command_to_another_bot")
    if not text:  # an empty text would take the file away, and only its caption is gone
        return Ignored("edited_message.caption_removed")
    return MessageEdited(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        address=address_of(message, reading.channel),
        sender=sender_of(message["from"]),
        message_ref=str(whole_number(message["message_id"])),
        text=text,
    )


def _press(query: Raw, reading: Reading, stamp: _Stamp) -> ActionPressed | Ignored:
    message = query.get("message")
    reason = _unanswerable(query, reading)
    if message is None or reason is not None:
        return Ignored(f"callback_query.{reason or 'inline_message_id'}")
    value = _pressed_value(message, query["data"])
    if value is None:
        return Ignored("callback_query.button_is_gone")
    return ActionPressed(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        address=address_of(message, reading.channel),
        sender=sender_of(query["from"]),
        value=value,
        message_ref=str(whole_number(message["message_id"])),
    )


def _unanswerable(query: Raw, reading: Reading) -> str | None:
    """Why a press says nothing to us."""
    chat = (query.get("message") or {}).get("chat")
    if chat is not None and not is_open(chat, reading):
        return f"in_{storable(chat['type'])}"
    if query["from"]["is_bot"]:
        return "bot"
    return None if "data" in query else "game_short_name"


def _pressed_value(message: Raw, data: Any) -> str | None:
    """The button's value; one too long for Telegram's 64 bytes came as "=N", and is its label."""
    value = storable(data)
    if not _BUTTON_NUMBER.fullmatch(value):
        return value
    rows = (message.get("reply_markup") or {}).get("inline_keyboard") or ()
    buttons = (button for row in rows for button in row)
    labels = (button["text"] for button in buttons if button.get("callback_data") == data)
    return optional_text(next(labels, None))


def _membership(change: Raw, reading: Reading, stamp: _Stamp) -> Reachability | Ignored:
    if not is_open(change["chat"], reading):
        return Ignored(f"my_chat_member.in_{storable(change['chat']['type'])}")
    member = change["new_chat_member"]
    is_out = member["status"] in ("kicked", "left")
    is_muted = member["status"] == "restricted" and not member.get("is_member", True)
    return Reachability(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        address=chat_address(change["chat"], reading.channel),
        is_reachable=not (is_out or is_muted),
    )


def _stopped(stop: Raw, reading: Reading, stamp: _Stamp) -> StopPressed | Ignored:
    """The stop button of a draft; drafts are private, so the chat is the person."""
    chat = stop["chat"]
    if chat["type"] != "private":
        return Ignored("stopped_message_generation.in_group")
    return StopPressed(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        address=chat_address(chat, reading.channel, thread=stop.get("message_thread_id")),
        sender=sender_of(chat),
    )

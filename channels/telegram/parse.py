"""Telegram updates -> the values of the channel contract. Pure: no network, no clock.

Takes an update as the Bot API sends it (plain JSON, not the library's objects: nothing is converted
twice, and unknown fields cost nothing). Gives one `Inbound` value, or None for what is nobody's
message to us. It never raises: a kind we handle that cannot be read becomes `Unreadable`, so that
one broken update never blocks a chat. Shapes: Bot API, Update and Message; read November 2026.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from channels.telegram.settings import GroupRule
from gateway.contract import (
    ActionPressed,
    Address,
    AddressMoved,
    Inbound,
    InboundMessage,
    MessageEdited,
    Reachability,
    Sender,
    Unreadable,
)

ALLOWED_UPDATES: Final = ("message", "edited_message", "callback_query", "my_chat_member")
"""The kinds we handle. Unset keeps the previous setting, so it is always sent."""

GENERAL_TOPIC: Final = 1
"""Thread id of a forum's General topic, which is addressed by leaving the thread out."""

_MAX_ID: Final = 2**63
_COMMAND = re.compile(r"(/\w{1,64})@(\w+)")
_BROKEN = (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError, RecursionError)

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Me:
    """Our own account, as getMe tells it."""

    id: int
    username: str
    reads_groups: bool = False

    @property
    def account(self) -> str:
        """The account's id in the contract."""
        return str(self.id)


@dataclass(frozen=True, slots=True)
class Reading:
    """What an update is read with: who we are, what the channel is called, the rule for groups."""

    me: Me
    channel: str
    groups: GroupRule = "mention"


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What every value made from one update carries."""

    account: str
    external_id: str
    digest: bytes
    received_at: datetime


def inbound(update: object, reading: Reading, *, received_at: datetime) -> Inbound | None:
    """What an update means, or None when nobody's message is in it."""
    try:
        raw = canonical(update)
    except _BROKEN:
        return unreadable(b"", reading, received_at=received_at, reason="update nested too deep")
    try:
        return _read(update, reading, digest=_digest(raw), received_at=received_at)
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


def press_id(update: object) -> str | None:
    """The id under which a button press is to be answered, or None."""
    query = update.get("callback_query") if isinstance(update, dict) else None
    value = query.get("id") if isinstance(query, dict) else None
    return value if isinstance(value, str) else None


def _digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


def _read(update: Any, reading: Reading, *, digest: bytes, received_at: datetime) -> Inbound | None:
    stamp = _Stamp(reading.me.account, str(_id(update["update_id"])), digest, received_at)
    if "message" in update:
        return _message(update["message"], reading, stamp)
    if "callback_query" in update:
        return _press(update["callback_query"], reading, stamp)
    if "edited_message" in update:
        return _edit(update["edited_message"], reading, stamp)
    if "my_chat_member" in update:
        return _membership(update["my_chat_member"], reading, stamp)
    return None


def _message(message: Raw, reading: Reading, stamp: _Stamp) -> InboundMessage | AddressMoved | None:
    if "migrate_to_chat_id" in message or "migrate_from_chat_id" in message:
        return _moved(message, reading, stamp)
    text = _addressed_text(message, reading.me)
    if not text or not _is_for_us(message, text, reading):
        return None
    number = _id(message["message_id"])
    return InboundMessage(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        address=_address(message, reading),
        sender=_sender(message["from"]),
        text=text,
        message_ref=str(number),
        group_id=_optional_text(message.get("media_group_id")),
        source_order=number,
        is_direct=message["chat"]["type"] == "private",
        sent_at=datetime.fromtimestamp(message["date"], UTC),
    )


def _moved(message: Raw, reading: Reading, stamp: _Stamp) -> AddressMoved:
    here = _id(message["chat"]["id"])
    old = _id(message.get("migrate_from_chat_id", here))
    new = _id(message.get("migrate_to_chat_id", here))
    return AddressMoved(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        old=Address(reading.channel, str(old)),
        new=Address(reading.channel, str(new)),
    )


def _edit(message: Raw, reading: Reading, stamp: _Stamp) -> MessageEdited | None:
    text = _addressed_text(message, reading.me)
    if not text or not _is_from_person(message) or not _is_open(message["chat"], reading):
        return None
    return MessageEdited(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        address=_address(message, reading),
        sender=_sender(message["from"]),
        message_ref=str(_id(message["message_id"])),
        text=text,
    )


def _press(query: Raw, reading: Reading, stamp: _Stamp) -> ActionPressed | None:
    message, value = query.get("message"), query.get("data")
    if message is None or value is None or query["from"]["is_bot"]:
        return None
    if not _is_open(message["chat"], reading):
        return None
    return ActionPressed(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        address=_address(message, reading),
        sender=_sender(query["from"]),
        value=_clean(value),
        message_ref=str(_id(message["message_id"])),
    )


def _membership(change: Raw, reading: Reading, stamp: _Stamp) -> Reachability | None:
    if not _is_open(change["chat"], reading):
        return None
    member = change["new_chat_member"]
    is_out = member["status"] in ("kicked", "left")
    is_muted = member["status"] == "restricted" and not member.get("is_member", True)
    return Reachability(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        address=Address(reading.channel, str(_id(change["chat"]["id"]))),
        is_reachable=not (is_out or is_muted),
    )


def _is_for_us(message: Raw, text: str, reading: Reading) -> bool:
    if not _is_from_person(message) or not _is_open(message["chat"], reading):
        return False
    if message["chat"]["type"] == "private" or reading.groups == "all":
        return True
    return _is_reply_to(message, reading.me) or _names(message, text, reading.me)


def _is_from_person(message: Raw) -> bool:
    """Bots never get an answer; anonymous admins and linked channels write as a chat."""
    author = message.get("from")
    return author is not None and not author["is_bot"] and "sender_chat" not in message


def _is_open(chat: Raw, reading: Reading) -> bool:
    if chat["type"] == "private":
        return True
    return chat["type"] in ("group", "supergroup") and reading.groups != "off"


def _is_reply_to(message: Raw, me: Me) -> bool:
    author = (message.get("reply_to_message") or {}).get("from") or {}
    return bool(author.get("id") == me.id)


def _names(message: Raw, text: str, me: Me) -> bool:
    """Whether the text mentions or commands us; offsets are UTF-16 units of the original text."""
    entities = message.get("entities") or message.get("caption_entities") or ()
    units = _clean(message.get("text") or message.get("caption") or text).encode("utf-16-le")
    handle = f"@{me.username}".lower()
    for entity in entities:
        start, length = _id(entity["offset"]), _id(entity["length"])
        piece = units[2 * start : 2 * (start + length)].decode("utf-16-le", "replace").lower()
        match entity["type"]:
            case "mention" if piece == handle:
                return True
            case "text_mention" if entity["user"]["id"] == me.id:
                return True
            case "bot_command" if "@" not in piece or piece.endswith(handle):
                return True
            case _:
                continue
    return False


def _addressed_text(message: Raw, me: Me) -> str:
    """Text or caption; `/cmd@our_bot` is `/cmd`, and a command to another bot is no text for us."""
    text = _clean(message.get("text") or message.get("caption") or "")
    command = _COMMAND.match(text) if text.startswith("/") else None
    if command is None:
        return text
    if command[2].lower() != me.username.lower():
        return ""
    return command[1] + text[command.end() :]


def _address(message: Raw, reading: Reading) -> Address:
    thread = None
    if message.get("is_topic_message"):
        number = _id(message["message_thread_id"])
        thread = str(number) if number != GENERAL_TOPIC else None
    return Address(reading.channel, str(_id(message["chat"]["id"])), thread)


def _sender(author: Raw) -> Sender:
    names = (author.get("first_name"), author.get("last_name"))
    return Sender(
        platform="telegram",
        external_id=str(_id(author["id"])),
        name=" ".join(_clean(name) for name in names if name) or None,
        locale=_optional_text(author.get("language_code")),
    )


def _id(value: Any) -> int:
    """A whole number that fits into 64 bits: chat and user ids do, and so does every table."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= _MAX_ID:
        raise ValueError("not a number of 64 bits")
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None else _clean(value)


def _clean(text: Any) -> str:
    """Text that every database takes: no NUL, no half of a surrogate pair; same UTF-16 length."""
    if not isinstance(text, str):
        raise TypeError("not a text")
    clean: str = text.replace("\0", "\ufffd") if "\0" in text else text
    if clean.isascii():
        return clean
    return clean.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

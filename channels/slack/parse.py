"""Events of Slack -> the values of the channel contract. Pure: no network, no clock.

Takes the outer document of the Events API as plain JSON; gives one `Inbound` value, or the name of
what is nobody's message to us. It never raises: an event we handle that cannot be read becomes
`Unreadable`, so that it is acknowledged all the same. Shapes: docs.slack.dev, Events API,
"message" and its subtypes; read November 2026.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from channels.slack import mrkdwn
from channels.slack.attachments import attachments
from channels.slack.reading import Raw, Reading, order_of
from gateway.contract import Inbound, InboundMessage, MessageEdited, Unreadable
from gateway.contract.text import storable

SPOKEN: Final = frozenset({None, "me_message", "file_share", "thread_broadcast", "bot_message"})
"""Subtypes of messages that somebody really wrote."""

DIRECT: Final = frozenset({"im", "mpim"})
"""Kinds of conversations in which everything is meant for us."""

SLACKBOT: Final = "USLACKBOT"
GREETING: Final = "/start"
"""A mention without a word asks for one from us."""

_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode

BROKEN: Final = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What every value made from one event carries."""

    account: str
    external_id: str
    digest: bytes
    received_at: datetime


def inbound(payload: Raw, reading: Reading, *, received_at: datetime) -> Inbound | str:
    """What an event means, or the word for what means nothing to us."""
    stamp: Stamp | None = None
    try:
        event = payload["event"]
        stamp = Stamp(
            account=reading.team,
            external_id=storable(payload["event_id"]),
            digest=digest(event),
            received_at=received_at,
        )
        return _event(event, reading, stamp, app=payload.get("api_app_id"))
    except BROKEN as error:
        stamp = stamp or _nameless(payload, reading, received_at=received_at)
        return unreadable(payload, stamp, reason=f"event of unexpected form ({_name(error)})")


def _nameless(payload: Raw, reading: Reading, *, received_at: datetime) -> Stamp:
    """The stamp of an event without an id: its content is its name."""
    found = digest(payload)
    return Stamp(
        account=reading.team,
        external_id=f"sha256:{found.hex()}",
        digest=found,
        received_at=received_at,
    )


def unreadable(document: object, stamp: Stamp, *, reason: str) -> Unreadable:
    """An event kept raw for the operator."""
    return Unreadable(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        raw=canonical(document),
        reason=reason,
    )


def canonical(document: object) -> bytes:
    """The one spelling of a document, whatever order its fields came in."""
    try:
        return _encode(document).encode()
    except RecursionError:
        return b""


def digest(document: object) -> bytes:
    """The SHA-256 of a document."""
    return hashlib.sha256(canonical(document)).digest()


def said(
    message: Raw, reading: Reading, stamp: Stamp, *, app: str | None = None
) -> InboundMessage | str:
    """What somebody wrote: an event's message, or one from a channel's history.

    A message from history needs `channel` and `channel_type` beside its own fields.
    """
    subtype = message.get("subtype")
    if subtype not in SPOKEN:
        return f"message.{subtype}"
    user, is_bot = _author(message)
    if _is_ours(message, reading, app=app):
        return "message.own"
    if is_bot and not _is_let_in(message, reading):
        return "message.bot"
    chat, kind, ts = storable(message["channel"]), _kind(message), storable(message["ts"])
    is_named = message["type"] == "app_mention" or mrkdwn.names(
        message.get("text") or "", bot_user=reading.bot_user
    )
    if kind not in DIRECT and not is_named and _parent(message) is None:
        return "message.channel"
    files = attachments(message, team=reading.team)
    text = mrkdwn.plain(storable(message.get("text") or ""), bot_user=reading.bot_user)
    if not text and not files:
        if not is_named:
            return "message.empty"
        text = GREETING
    return InboundMessage(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        second_id=f"{chat}:{ts}",
        address=reading.address(chat, _thread(message, kind, reading)),
        sender=reading.sender(user, name=_shown_name(message), is_bot=is_bot),
        text=text,
        message_ref=ts,
        attachments=files,
        source_order=order_of(ts),
        is_direct=kind == "im",
        needs_session=kind not in DIRECT and not is_named,
        sent_at=datetime.fromtimestamp(float(ts), UTC),
    )


def tells_of_removal(payload: Raw) -> bool:
    """Whether the app was taken out of the workspace, or its bot's token away."""
    try:
        event = payload["event"]
        kind = event["type"]
        return kind == "app_uninstalled" or bool(
            kind == "tokens_revoked" and event["tokens"].get("bot")
        )
    except BROKEN:
        return False


def _event(event: Any, reading: Reading, stamp: Stamp, *, app: str | None) -> Inbound | str:
    kind = storable(event["type"])
    if kind == "app_mention":
        return said(event, reading, stamp, app=app)
    if kind != "message":
        return kind
    match event.get("subtype"):
        case "message_changed":
            return _changed(event, reading, stamp, app=app)
        case "message_deleted":
            return _deleted(event, reading, stamp, app=app)
        case _:
            return said(event, reading, stamp, app=app)


def _changed(event: Raw, reading: Reading, stamp: Stamp, *, app: str | None) -> Inbound | str:
    """Somebody changed the words; a link that only got its preview is nothing."""
    message, former = event["message"], event.get("previous_message") or {}
    if message.get("text") == former.get("text"):
        return "message.message_changed"
    if message.get("subtype") == "tombstone":
        return _edited(event, message, reading, stamp, text="", app=app)
    text = mrkdwn.plain(storable(message.get("text") or ""), bot_user=reading.bot_user)
    return _edited(event, message, reading, stamp, text=text, app=app)


def _deleted(event: Raw, reading: Reading, stamp: Stamp, *, app: str | None) -> Inbound | str:
    former = event["previous_message"]
    message = {**former, "ts": event.get("deleted_ts") or former["ts"]}
    return _edited(event, message, reading, stamp, text="", app=app)


def _edited(
    event: Raw, message: Raw, reading: Reading, stamp: Stamp, *, text: str, app: str | None
) -> Inbound | str:
    user, is_bot = _author(message)
    if _is_ours(message, reading, app=app) or (is_bot and not _is_let_in(message, reading)):
        return "message.bot"
    chat, kind = storable(event["channel"]), _kind(event)
    former = (event.get("previous_message") or {}).get("text") or ""
    was_named = mrkdwn.names(former, bot_user=reading.bot_user)
    if kind not in DIRECT and not was_named and _parent(message) is None:
        return "message.channel"
    return MessageEdited(
        account=stamp.account,
        external_id=stamp.external_id,
        digest=stamp.digest,
        received_at=stamp.received_at,
        address=reading.address(chat, _thread(message, kind, reading)),
        sender=reading.sender(user, is_bot=is_bot),
        message_ref=storable(message["ts"]),
        text=text,
    )


def _thread(message: Raw, kind: str, reading: Reading) -> str | None:
    """Where the answer goes: a thread that is there, or in channels the one it opens."""
    parent = _parent(message)
    if parent is not None:
        order_of(parent)
        return parent
    if kind in DIRECT and reading.dm_sessions == "channel":
        return None
    return storable(message["ts"])


def _parent(message: Raw) -> str | None:
    """The message that opened the thread; None outside of threads and for that message itself."""
    parent = message.get("thread_ts")
    return storable(parent) if parent is not None and parent != message["ts"] else None


def _kind(event: Raw) -> str:
    """im, mpim, channel or group; a mention does not tell, and is none of the first two.

    docs.slack.dev, app_mention: it is not sent for direct messages with the app.
    """
    kind = event.get("channel_type")
    if kind is not None:
        return storable(kind)
    return "im" if storable(event["channel"]).startswith("D") else "channel"


def _author(message: Raw) -> tuple[str, bool]:
    """Who wrote, and whether that is a bot."""
    is_bot = (
        bool(message.get("bot_id"))
        or message.get("subtype") == "bot_message"
        or message.get("user") == SLACKBOT
    )
    return storable(message.get("user") or message["bot_id"]), is_bot


def _is_ours(message: Raw, reading: Reading, *, app: str | None) -> bool:
    """Whether we wrote it ourselves: no list of bots lets that in."""
    if message.get("user") == reading.bot_user:
        return True
    return app is not None and message.get("app_id") == app and bool(message.get("bot_id"))


def _is_let_in(message: Raw, reading: Reading) -> bool:
    ids = {message.get("bot_id"), message.get("user"), message.get("app_id")}
    return not reading.allow_bots.isdisjoint(ids)


def _shown_name(message: Raw) -> str | None:
    """What the message itself says of its author's name, if anything."""
    profile = message.get("user_profile") or message.get("bot_profile") or {}
    name = profile.get("display_name") or profile.get("real_name") or profile.get("name")
    return storable(name) if name else None


def _name(error: BaseException) -> str:
    return type(error).__name__

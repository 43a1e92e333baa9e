"""Button presses and slash commands of Slack -> the values of the channel contract. Pure.

Both are acknowledged with an empty answer; what is to be said goes its ordinary way. Shapes:
docs.slack.dev, "block_actions payload" and "Implementing slash commands"; read November 2026.
"""

from datetime import datetime
from typing import Final

from channels.slack.mrkdwn import plain
from channels.slack.parse import BROKEN, Stamp, digest, unreadable
from channels.slack.reading import Raw, Reading
from gateway.contract import ActionPressed, Inbound, InboundMessage
from gateway.contract.text import storable

COMMANDS: Final = frozenset({"start", "help", "new", "stop", "status", "link"})
"""What a person may ask of the gateway itself; `/bot new` is `/new`, as an app's command may have
any name, and some names are Slack's own.
"""

DIRECT_NAMES: Final = frozenset({"directmessage"})


def pressed(payload: Raw, reading: Reading, *, received_at: datetime) -> list[Inbound] | str:
    """The buttons that were pressed, or the word for what is no press of a button."""
    stamp = _stamp(payload, reading, "interactive", received_at=received_at)
    try:
        kind = storable(payload["type"])
        if kind != "block_actions":
            return kind
        presses = [
            _press(payload, action, reading, stamp)
            for action in payload["actions"]
            if action.get("type") == "button" and action.get("value")
        ]
        return presses or "block_actions"
    except BROKEN as error:
        reason = f"interaction of unexpected form ({type(error).__name__})"
        return [unreadable(payload, stamp, reason=reason)]


def commanded(fields: Raw, reading: Reading, *, received_at: datetime) -> Inbound:
    """A slash command as a message."""
    stamp = _stamp(fields, reading, "command", received_at=received_at)
    try:
        text = storable(fields.get("text") or "")
        return InboundMessage(
            account=stamp.account,
            external_id=f"command:{storable(fields['trigger_id'])}",
            digest=stamp.digest,
            received_at=received_at,
            address=reading.address(storable(fields["channel_id"]), None),
            sender=reading.sender(storable(fields["user_id"])),
            text=_words(
                storable(fields["command"]), plain(text, bot_user=reading.bot_user).strip()
            ),
            source_order=int(received_at.timestamp() * 1_000_000),
            is_direct=fields.get("channel_name") in DIRECT_NAMES,
        )
    except BROKEN as error:
        reason = f"command of unexpected form ({type(error).__name__})"
        return unreadable(dict(fields), stamp, reason=reason)


def _press(payload: Raw, action: Raw, reading: Reading, stamp: Stamp) -> Inbound:
    place = payload["container"]
    chat, ts = storable(place["channel_id"]), storable(place["message_ts"])
    thread = place.get("thread_ts") or (payload.get("message") or {}).get("thread_ts")
    user = storable(payload["user"]["id"])
    return ActionPressed(
        account=stamp.account,
        external_id=f"press:{chat}:{ts}:{user}:{storable(action['action_ts'])}",
        digest=stamp.digest,
        received_at=stamp.received_at,
        address=reading.address(chat, storable(thread) if thread and thread != ts else None),
        sender=reading.sender(user),
        value=storable(action["value"]),
        message_ref=ts,
    )


def _words(command: str, text: str) -> str:
    """What a command says, whatever the app's command is called.

    >>> _words("/new", ""), _words("/bot", "new"), _words("/ask", "why?"), _words("/bot", "")
    ('/new', '/new', 'why?', '/help')
    """
    name = command.removeprefix("/").lower()
    if name in COMMANDS:
        return f"/{name} {text}".rstrip()
    first, _, rest = text.partition(" ")
    first = first.removeprefix("/").lower()
    if first in COMMANDS and (not rest or first == "link"):
        return f"/{first} {rest}".rstrip()
    return text or "/help"


def _stamp(document: Raw, reading: Reading, kind: str, *, received_at: datetime) -> Stamp:
    found = digest(_lasting(document))
    return Stamp(
        account=reading.team,
        external_id=f"{kind}:sha256:{found.hex()}",
        digest=found,
        received_at=received_at,
    )


def _lasting(document: Raw) -> Raw:
    """Without the addresses that may be another's when it comes again."""
    passing = {"token", "response_url", "response_urls"}
    return {name: value for name, value in document.items() if name not in passing}

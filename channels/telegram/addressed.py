"""Whether a message is for us, and the text that it says to us.

In private everything is. In groups it depends on the channel's rule: mentions, commands and replies
to us (`mention`), everything (`all`), nothing (`off`). Bots, anonymous admins and channels are
never answered. Pure; offsets are UTF-16 units of the original text. Shapes: Bot API, Message and
MessageEntity; read November 2026.
"""

import re
from typing import Final

from channels.telegram.fields import Raw, whole_number
from channels.telegram.reading import Me, Reading
from gateway.contract.text import storable

ANONYMOUS_ADMIN: Final = 1087968824
"""The account that stands for every anonymous admin of a group."""

_COMMAND = re.compile(r"(/\w{1,64})@(\w+)")
_CALLED = re.compile(r"@(\w+)[\s,:]+(?=/\w|link\s)", re.IGNORECASE)


def not_a_person(message: Raw) -> str | None:
    """Why nobody's message this is: who wrote it, when that is no person."""
    author = message.get("from")
    if "sender_chat" in message or author is None or author["id"] == ANONYMOUS_ADMIN:
        return "sender_chat"
    return "bot" if author["is_bot"] else None


def is_open(chat: Raw, reading: Reading) -> bool:
    """Whether the channel listens to that kind of chat at all."""
    if chat["type"] == "private":
        return True
    return chat["type"] in ("group", "supergroup") and reading.groups != "off"


def is_named(message: Raw, reading: Reading) -> bool:
    """Whether the rule of the chat lets the message through to us."""
    if message["chat"]["type"] == "private" or reading.groups == "all":
        return True
    return _is_reply_to(message, reading.me) or _names(message, reading.me)


def commanded_text(text: str, me: Me) -> str | None:
    """A text with `/cmd@our_bot` or `@our_bot /cmd` as `/cmd`; None for a command to another bot.

    >>> commanded_text("/help@our_bot me", Me(1, "our_bot"))
    '/help me'
    >>> commanded_text("@our_bot link ABCD-2345", Me(1, "our_bot"))
    'link ABCD-2345'
    """
    called = _CALLED.match(text)
    if called is not None and called[1].lower() == me.username.lower():
        text = text[called.end() :]
    command = _COMMAND.match(text) if text.startswith("/") else None
    if command is None:
        return text
    if command[2].lower() != me.username.lower():
        return None
    return command[1] + text[command.end() :]


def _is_reply_to(message: Raw, me: Me) -> bool:
    """Whether it answers us; all that is said in a topic seems to answer whoever made the topic."""
    answered = message.get("reply_to_message") or {}
    author = answered.get("from") or {}
    return bool(author.get("id") == me.id) and "forum_topic_created" not in answered


def _names(message: Raw, me: Me) -> bool:
    """Whether the text or the caption mentions or commands us."""
    entities = message.get("entities") or message.get("caption_entities") or ()
    text = storable(message.get("text") or message.get("caption") or "")
    units = text.encode("utf-16-le")
    handle = f"@{me.username}".lower()
    for entity in entities:
        start, length = whole_number(entity["offset"]), whole_number(entity["length"])
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

"""Updates as Telegram sends them, built from a few words.

Pure functions: ids and times go in as arguments, the content of an Update comes out (one kind, no
`update_id`; the server gives that when it queues the update). Private chats have the id of their
user, groups negative ids, supergroups and channels ids below -1000000000000, as on the platform.
"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.testing.telegram.rules import utf16_length
from gateway.testing.wire import JsonObject

SUPERGROUPS_BELOW: Final = -1_000_000_000_000

DEFAULT_KINDS: Final = frozenset(
    {
        *("message", "edited_message", "channel_post", "edited_channel_post"),
        *("business_connection", "business_message", "edited_business_message"),
        *("deleted_business_messages", "guest_message", "inline_query", "chosen_inline_result"),
        *("callback_query", "shipping_query", "pre_checkout_query", "purchased_paid_media"),
        *("poll", "poll_answer", "my_chat_member", "chat_join_request", "chat_boost"),
        *("removed_chat_boost", "managed_bot", "stopped_message_generation"),
    }
)
"""Kinds a bot gets that never named any (Bot API 10.1, getUpdates, `allowed_updates`; the stop
button is of 10.3).
"""

ALL_KINDS: Final = DEFAULT_KINDS | {"chat_member", "message_reaction", "message_reaction_count"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on Telegram."""

    id: int
    first_name: str = "Ada"
    username: str | None = None
    language_code: str | None = "en"
    is_bot: bool = False

    @property
    def document(self) -> JsonObject:
        """The User object."""
        return {
            "id": self.id,
            "is_bot": self.is_bot,
            "first_name": self.first_name,
            **({"username": self.username} if self.username else {}),
            **({"language_code": self.language_code} if self.language_code else {}),
        }


def chat_document(chat: int, *, first_name: str = "Ada", title: str = "A group") -> JsonObject:
    """The Chat object that belongs to an id."""
    if chat > 0:
        return {"id": chat, "type": "private", "first_name": first_name}
    kind = "supergroup" if chat < SUPERGROUPS_BELOW else "group"
    return {"id": chat, "type": kind, "title": title}


def message(
    chat: int, sender: Person, *, message_id: int, date: int, extra: JsonObject | None = None
) -> JsonObject:
    """A Message object without content; `extra` is laid over it."""
    return {
        "message_id": message_id,
        "from": sender.document,
        "chat": chat_document(chat, first_name=sender.first_name),
        "date": date,
        **(extra or {}),
    }


def text_message(
    chat: int,
    sender: Person,
    text: str,
    *,
    message_id: int,
    date: int,
    extra: JsonObject | None = None,
) -> JsonObject:
    """Content of an update with a text; a command at its start gets its entity."""
    content: JsonObject = {"text": text, **command_entities(text), **(extra or {})}
    return {"message": message(chat, sender, message_id=message_id, date=date, extra=content)}


def edited_message(
    original: JsonObject, text: str, *, edit_date: int, extra: JsonObject | None = None
) -> JsonObject:
    """Content of an update that says a message now reads `text`; `original` is the Message."""
    changed = {key: value for key, value in original.items() if key != "entities"}
    changed |= {"text": text, "edit_date": edit_date, **command_entities(text), **(extra or {})}
    return {"edited_message": changed}


def photo_message(
    chat: int,
    sender: Person,
    caption: str,
    *,
    file_id: str,
    message_id: int,
    date: int,
    extra: JsonObject | None = None,
) -> JsonObject:
    """Content of an update with a photo in two sizes and a caption ("" for none)."""
    sizes = [
        {
            "file_id": f"{file_id}-small",
            "file_unique_id": f"{file_id}-s",
            "width": 90,
            "height": 60,
        },
        {"file_id": file_id, "file_unique_id": f"{file_id}-u", "width": 1280, "height": 853},
    ]
    content: JsonObject = {"photo": sizes, **({"caption": caption} if caption else {})}
    content |= extra or {}
    return {"message": message(chat, sender, message_id=message_id, date=date, extra=content)}


def media_message(
    chat: int,
    sender: Person,
    kind: str,
    file: JsonObject,
    *,
    caption: str = "",
    message_id: int,
    date: int,
    extra: JsonObject | None = None,
) -> JsonObject:
    """Content of an update with a file; `file` is its Voice, Audio, Video, Document ... object."""
    content: JsonObject = {kind: {**_MEDIA.get(kind, {}), **file}}
    content |= {"caption": caption} if caption else {}
    content |= extra or {}
    return {"message": message(chat, sender, message_id=message_id, date=date, extra=content)}


def stopped_generation(person: Person, *, draft_id: int, thread: int | None = None) -> JsonObject:
    """Content of an update that says somebody pressed the stop button of a draft."""
    stopped: JsonObject = {
        "chat": chat_document(person.id, first_name=person.first_name),
        "draft_id": draft_id,
        **({} if thread is None else {"message_thread_id": thread}),
    }
    return {"stopped_message_generation": stopped}


def callback_query(
    sender: Person, data: str, *, query_id: str, on_message: JsonObject
) -> JsonObject:
    """Content of an update that says a button below `on_message` was pressed."""
    query = {
        "id": query_id,
        "from": sender.document,
        "message": on_message,
        "chat_instance": f"instance-{on_message['chat']['id']}",
        "data": data,
    }
    return {"callback_query": query}


def membership(
    chat: int, sender: Person, bot: Person, *, old: str, new: str, date: int
) -> JsonObject:
    """Content of a my_chat_member update; states: member, kicked, left, administrator.

    In a private chat "kicked" means that the person blocked the bot.
    """
    change = {
        "chat": chat_document(chat, first_name=sender.first_name),
        "from": sender.document,
        "date": date,
        "old_chat_member": _member(bot, old),
        "new_chat_member": _member(bot, new),
    }
    return {"my_chat_member": change}


def command_entities(text: str) -> JsonObject:
    """`entities` for a text that begins with a command, else nothing.

    >>> command_entities("/start now")
    {'entities': [{'type': 'bot_command', 'offset': 0, 'length': 6}]}
    """
    found = re.match(r"/[A-Za-z0-9_]{1,64}(@\w+)?", text)
    if not found:
        return {}
    length = utf16_length(found[0])
    return {"entities": [{"type": "bot_command", "offset": 0, "length": length}]}


def kind_of(update: JsonObject) -> str:
    """The kind of an update: the name of its one part."""
    return next((name for name in update if name != "update_id"), "")


def chat_of(update: JsonObject) -> int:
    """The chat an update belongs to, else its sender, else 0."""
    part = update.get(kind_of(update))
    if not isinstance(part, dict):
        return 0
    for place in (part, part.get("message")):
        if isinstance(place, dict) and isinstance(place.get("chat"), dict):
            return int(place["chat"].get("id", 0))
    sender = part.get("from")
    return int(sender.get("id", 0)) if isinstance(sender, dict) else 0


_MEDIA: Final[dict[str, JsonObject]] = {
    "voice": {"duration": 3},
    "audio": {"duration": 180},
    "video": {"width": 640, "height": 480, "duration": 5},
    "video_note": {"length": 240, "duration": 5},
    "animation": {"width": 320, "height": 240, "duration": 2},
}
"""Fields that the Bot API requires of a file, by its kind, beside its ids."""


def _member(bot: Person, status: str) -> JsonObject:
    member: JsonObject = {"status": status, "user": bot.document}
    if status == "kicked":
        member["until_date"] = 0
    return member

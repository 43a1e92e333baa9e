"""What a message holds besides its text: files as attachments, the rest as a few honest words.

Takes a Message; gives attachments whose `ref` is Telegram's file id, which stays good, and never an
address, which holds the token. Name, type and size are what the message says: `getFile` may not
keep them (Bot API, getFile; read November 2026). Pure; bytes are fetched by `files.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from channels.telegram.fields import Raw, optional_text, whole_number
from gateway.contract import Attachment
from gateway.contract.text import storable

FileKind = Literal["image", "audio", "video", "document"]

_FILES: Final[tuple[tuple[str, FileKind, str | None], ...]] = (
    ("voice", "audio", "audio/ogg"),
    ("audio", "audio", None),
    ("video", "video", None),
    ("video_note", "video", "video/mp4"),
    ("animation", "video", None),
    ("live_photo", "video", None),
    ("document", "document", None),
)
"""Field of the message, kind, and the type where Telegram fixes it or leaves it out.

An animation comes with a `document` of the same file beside it, for older bots.
"""

_KINDS: Final[dict[str, FileKind]] = {"image": "image", "audio": "audio", "video": "video"}

_ENVELOPE: Final = frozenset(
    {
        *("message_id", "message_thread_id", "from", "sender_chat", "chat", "date", "edit_date"),
        *("is_topic_message", "reply_to_message", "external_reply", "quote", "via_bot", "entities"),
        *("forward_origin", "sender_tag", "sender_boost_count", "author_signature", "effect_id"),
        *("has_protected_content", "link_preview_options", "reply_markup", "caption_entities"),
        *("is_from_offline", "text", "caption", "media_group_id"),
    }
)
"""Fields that say how a message came, and not what is in it."""


def attachments_of(message: Raw) -> tuple[Attachment, ...]:
    """The file of a message: Telegram puts one into each, an album is several messages."""
    sizes = message.get("photo") or (message.get("live_photo") or {}).get("photo")
    if sizes:
        return (_photo(sizes),)
    for field, kind, mime in _FILES:
        if field in message:
            return (_file(message[field], kind, mime=mime),)
    return ()


def text_of(message: Raw) -> str:
    """Text or caption, else what is shown in place of one; empty for a file and a notice."""
    text = storable(message.get("text") or message.get("caption") or "")
    if text:
        return text
    for field, describe in _DESCRIBED:
        if field in message:
            return describe(message[field])
    return ""


def content_kind(message: Raw) -> str:
    """Telegram's own word for what is in a message that we cannot use.

    >>> content_kind({"message_id": 1, "chat": {}, "new_chat_title": "x"})
    'new_chat_title'
    """
    return min((name for name in message if name not in _ENVELOPE), default="empty")


def _photo(sizes: Sequence[Raw]) -> Attachment:
    """The largest of the sizes; photos are always JPEG."""
    largest = max(sizes, key=lambda size: size["width"] * size["height"])
    return _file(largest, "image", mime="image/jpeg")


def _file(file: Raw, kind: FileKind, *, mime: str | None) -> Attachment:
    told = optional_text(file.get("mime_type")) or mime
    if kind == "document" and told is not None:
        kind = _KINDS.get(told.partition("/")[0].lower(), kind)
    size = file.get("file_size")
    return Attachment(
        kind=kind,
        ref=storable(file["file_id"]),
        name=optional_text(file.get("file_name")),
        mime=told,
        size_bytes=None if size is None else whole_number(size),
    )


def _place(location: Raw) -> str:
    latitude, longitude = float(location["latitude"]), float(location["longitude"])
    return f"{latitude:.6g}, {longitude:.6g}"


def _location(location: Raw) -> str:
    return f"(location: {_place(location)})"


def _venue(venue: Raw) -> str:
    name, street = storable(venue["title"]), storable(venue["address"])
    return f"(place: {name}, {street}; {_place(venue['location'])})"


def _contact(contact: Raw) -> str:
    names = (contact["first_name"], contact.get("last_name"))
    shown = " ".join(storable(name) for name in names if name)
    return f"(contact: {shown}, {storable(contact['phone_number'])})"


def _poll(poll: Raw) -> str:
    options = " / ".join(storable(option["text"]) for option in poll["options"])
    return f"(poll: {storable(poll['question'])} {options})"


def _dice(dice: Raw) -> str:
    return f"({storable(dice['emoji'])} shows {whole_number(dice['value'])})"


def _sticker(sticker: Raw) -> str:
    return storable(sticker.get("emoji") or "(sticker)")


def _checklist(checklist: Raw) -> str:
    tasks = " / ".join(storable(task["text"]) for task in checklist["tasks"])
    return f"(checklist: {storable(checklist['title'])} {tasks})"


def _rich(rich: Raw) -> str:
    return "\n".join(filter(None, (_plain(block) for block in rich["blocks"])))


def _plain(block: object) -> str:
    """The words of a piece of a rich message, without their formatting."""
    if isinstance(block, str):
        return storable(block)
    if isinstance(block, list):
        return "".join(_plain(piece) for piece in block)
    if not isinstance(block, Mapping):
        return ""
    nested = block.get("blocks") or block.get("items") or ()
    return "\n".join(filter(None, (_plain(block.get("text", "")), *map(_plain, nested))))


_DESCRIBED: Final[tuple[tuple[str, Callable[[Raw], str]], ...]] = (
    ("venue", _venue),
    ("location", _location),
    ("contact", _contact),
    ("poll", _poll),
    ("dice", _dice),
    ("sticker", _sticker),
    ("checklist", _checklist),
    ("rich_message", _rich),
    ("story", lambda _: "(story)"),
    ("paid_media", lambda _: "(paid media)"),
    ("game", lambda game: f"(game: {storable(game['title'])})"),
)
"""A venue carries its `location` as well, so it is looked for first."""

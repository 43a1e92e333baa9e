"""A reply -> parts that Telegram takes. Pure, and never fails.

Takes an `OutboundMessage`; gives parts `{"text", "entities"}` of at most 4096 UTF-16 units, with
`"media"` of at most 1024. The text carries no markup: formatting stands beside it as entities, so
that nothing a model writes can be broken or misread markup, and the text alone is the plain version
of the part. A rich part holds the whole text and its HTML as `"rich"`. Further keys: `"reply_to"`,
`"buttons"`. What stands in a part is read by `outgoing.py`.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NotRequired, TypedDict

from telegramify_markdown import MessageEntity

from channels.telegram.markdown import formatted, rich_html
from channels.telegram.media_out import TOO_LARGE, Media, is_too_large, media_of, notice_of
from gateway.contract import Attachment, Button, Json, OutboundMessage
from gateway.contract.cut import Range, index_at, pieces, unit_offsets, units
from gateway.contract.text import sendable

TEXT_UNITS: Final = 4096
"""Longest text. Bot API, sendMessage: 1-4096 characters after entities parsing (November 2026)."""

CAPTION_UNITS: Final = 1024
"""Longest text below a file. Bot API, sendPhoto: 0-1024 characters after entities parsing."""

_CALLBACK_BYTES: Final = 64
"""Most that a button can carry. Bot API, InlineKeyboardButton, callback_data: 1-64 bytes."""

_BUTTONS_MOST: Final = 100

_ENTITIES: Final = 100
"""Entities a message keeps; Telegram drops what is over (limits.tginfo.me, read November 2026)."""

_LINK: Final = "text_link"
"""The kind of entity that holds what the text does not show: never left out."""

_BLOCKS: Final = frozenset({"pre", "blockquote", "expandable_blockquote"})


class EntityPart(TypedDict, total=False):
    """A formatted stretch of a part: type, offset and length in UTF-16 units."""

    type: str
    offset: int
    length: int
    url: str
    language: str


class Part(TypedDict):
    """What is stored of one message to send."""

    text: str
    entities: list[EntityPart]
    rich: NotRequired[str]
    media: NotRequired[Media]
    reply_to: NotRequired[str]
    buttons: NotRequired[list[list[str]]]


def parts(message: OutboundMessage, *, rich: bool = False) -> list[Json]:
    """The parts of a message, in order; none for a message without anything to see.

    Only the first part points to the message it answers, and only in groups, where it is not
    clear otherwise. Buttons stand under the last.
    """
    made = _text_parts(message.text, rich=rich)
    made = _with_files(made, message.attachments)
    if made and message.reply_to is not None and message.address.chat.startswith("-"):
        made[0]["reply_to"] = message.reply_to.message_ref
    if made and message.buttons:
        made[-1]["buttons"] = _buttons(message.buttons)
    return list(made)


def preview(text: str) -> Part:
    """What a draft shows of a text that still grows: its first part, as far as it goes."""
    made = _text_parts(text[:TEXT_UNITS], rich=False)
    return made[0] if made else Part(text="", entities=[])


def cut(text: str, entities: Sequence[Json], *, limit: int) -> list[Part]:
    """A text and its formatting as parts of at most so many UTF-16 units."""
    return _cut(text, [MessageEntity(**entity) for entity in entities], limit=limit)


def _text_parts(markdown: str, *, rich: bool) -> list[Part]:
    text, entities = formatted(markdown)
    html = rich_html(markdown) if rich and text.strip() else None
    if html is None:
        return _cut(text, entities, limit=TEXT_UNITS)
    whole = [_entity(entity, offset=entity.offset, length=entity.length) for entity in entities]
    return [Part(text=text, entities=whole, rich=html)]


def _cut(text: str, entities: Sequence[MessageEntity], *, limit: int) -> list[Part]:
    offsets = unit_offsets(text)
    ranges = _ranges(text, offsets, entities=entities, limit=limit)
    places = [(offsets[start], offsets[end]) for start, end in ranges]
    links = sorted(entity.offset for entity in entities if entity.type == _LINK)
    most = max(
        (bisect_left(links, end) - bisect_left(links, start) for start, end in places), default=0
    )
    if most > _ENTITIES and limit > _ENTITIES:
        return _cut(text, entities, limit=limit // 2)
    return [
        Part(text=text[start:end], entities=_clipped(entities, first=first, last=last))
        for (start, end), (first, last) in zip(ranges, places, strict=True)
    ]


def _with_files(texts: list[Part], files: Sequence[Attachment]) -> list[Part]:
    """The files after the text; a short text stands under the first of them."""
    made = list(texts)
    is_caption = len(texts) == 1 and _fits_below_file(texts[0])
    for file in files:
        media = media_of(file)
        if is_too_large(file):
            made.append(Part(text=notice_of(media, TOO_LARGE), entities=[]))
        elif is_caption:
            made[0]["media"] = media
            is_caption = False
        else:
            made.append(Part(text="", entities=[], media=media))
    return made


def _fits_below_file(part: Part) -> bool:
    return "rich" not in part and units(part["text"]) <= CAPTION_UNITS


def _buttons(buttons: Sequence[Button]) -> list[list[str]]:
    """Each button's text and what it carries.

    What is too long to be carried is the text itself, read back when it is pressed: then it carries
    its place, `=0`.
    """
    made: list[list[str]] = []
    for number, button in enumerate(buttons[:_BUTTONS_MOST]):
        value = sendable(button.value)
        is_carried = 1 <= len(value.encode()) <= _CALLBACK_BYTES and not value.startswith("=")
        label = sendable(button.label) if is_carried else value or sendable(button.label)
        made.append([label.strip() or value, value if is_carried else f"={number}"])
    return [pair for pair in made if pair[0].strip()]


def _ranges(
    text: str, offsets: Sequence[int], *, entities: Sequence[MessageEntity], limit: int
) -> list[Range]:
    """Where the pieces of the text begin and end; most texts are one piece."""
    blocks: list[Range] = []
    atoms: list[Range] = []
    if offsets[-1] > limit:
        for entity in entities:
            start = index_at(offsets, entity.offset)
            end = index_at(offsets, entity.offset + entity.length)
            (blocks if entity.type in _BLOCKS else atoms).append((start, end))
    return list(pieces(text, limit, atoms=atoms, blocks=blocks))


def _clipped(entities: Sequence[MessageEntity], *, first: int, last: int) -> list[EntityPart]:
    """The entities of one piece; a code block cut in two is one in both pieces."""
    clipped: list[EntityPart] = []
    for entity in entities:
        begin = max(entity.offset, first)
        length = min(entity.offset + entity.length, last) - begin
        if length > 0:
            clipped.append(_entity(entity, offset=begin - first, length=length))
    if len(clipped) > _ENTITIES:
        clipped.sort(key=lambda entity: entity["type"] != _LINK)
    kept = clipped[:_ENTITIES]
    kept.sort(key=lambda entity: (entity["offset"], -entity["length"]))
    return kept


def _entity(entity: MessageEntity, *, offset: int, length: int) -> EntityPart:
    part = EntityPart(type=entity.type, offset=offset, length=length)
    if entity.url is not None:
        part["url"] = entity.url
    if entity.language is not None:
        part["language"] = entity.language
    return part

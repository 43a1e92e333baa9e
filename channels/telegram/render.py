"""Markdown -> parts that Telegram takes. Pure, and never fails.

Takes an `OutboundMessage`; gives parts `{"text", "entities", "reply_to"?}` of at most 4096 UTF-16
units. The text carries no markup: formatting stands beside it as entities, so that nothing a model
writes can be broken or misread markup, and the text alone is the plain version of the part.
Where Markdown would swallow text (raw HTML, dollar amounts, unused link targets), it is kept.
"""

import re
from collections.abc import Sequence
from typing import Final, TypedDict

from telegramify_markdown import MessageEntity, RenderConfig, convert

from gateway.contract import Json, OutboundMessage
from gateway.contract.cut import Range, index_at, pieces, unit_offsets

TEXT_UNITS: Final = 4096
"""Longest text. Bot API, sendMessage: 1-4096 characters after entities parsing (November 2026)."""

_ENTITIES: Final = 100
"""Entities a message keeps; Telegram drops what is over (limits.tginfo.me, read November 2026)."""

_BLOCKS: Final = frozenset({"pre", "blockquote", "expandable_blockquote"})
_NOT_OURS_TO_SEND: Final = frozenset({"custom_emoji"})

_CONVERTER_FAILURES: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)

# Characters that Markdown would swallow stand for themselves under a noncharacter of the same
# UTF-16 length while the converter runs, so that offsets stay right and code stays untouched.
_STAND_INS: Final = {"<": "\ufdd0", "$": "\ufdd1", "[": "\ufdd2", "|": "\ufdd3"}
_BACK: Final = {ord(stand_in): char for char, stand_in in _STAND_INS.items()}
_NONCHARACTERS = re.compile("[\ufdd0-\ufdd3]")

_HTML = re.compile(
    r"(?<!\\)(?<!\]\()<(?=[A-Za-z/!?])(?![A-Za-z][\w+.-]*:[^\s<>]*>|[\w.+-]+@[\w.-]+>)"
)
_FORMULA = re.compile(r"\\[A-Za-z(\[]")
_LINK_TARGET = re.compile(r"(?m)^( {0,3})\[([^\]\n]+)\](?=:[^\S\n]*\S)")
_DOUBLE_BAR = re.compile(r"(?m)^(?![^\S\n]*\|).*\|\|.*$")


class EntityPart(TypedDict, total=False):
    """A formatted stretch of a part: type, offset and length in UTF-16 units."""

    type: str
    offset: int
    length: int
    url: str
    language: str


def parts(message: OutboundMessage) -> list[Json]:
    """The parts of a message, in order; none for a message without visible text.

    Only the first part points to the message it answers, and only in groups, where it is not
    clear otherwise.
    """
    text, entities = formatted(message.text)
    offsets = unit_offsets(text)
    made: list[dict[str, object]] = [
        {
            "text": text[start:end],
            "entities": _clipped(entities, first=offsets[start], last=offsets[end]),
        }
        for start, end in _ranges(text, offsets, entities=entities)
    ]
    if made and message.reply_to is not None and message.address.chat.startswith("-"):
        made[0]["reply_to"] = message.reply_to.message_ref
    return list(made)


def formatted(markdown: str) -> tuple[str, list[MessageEntity]]:
    """The text without markup, and its formatting; the text as it is when it cannot be read."""
    source = _encodable(markdown)
    try:
        text, entities = convert(_protected(source), config=_CONFIG)
    except _CONVERTER_FAILURES:
        return source, []
    if not text.strip():
        return source, []
    known = [entity for entity in entities if entity.type not in _NOT_OURS_TO_SEND]
    for entity in known:
        entity.url = entity.url.translate(_BACK) if entity.url is not None else None
    return text.translate(_BACK), known


def _ranges(text: str, offsets: Sequence[int], *, entities: Sequence[MessageEntity]) -> list[Range]:
    """Where the pieces of the text begin and end; most texts are one piece."""
    blocks: list[Range] = []
    atoms: list[Range] = []
    if offsets[-1] > TEXT_UNITS:
        for entity in entities:
            start = index_at(offsets, entity.offset)
            end = index_at(offsets, entity.offset + entity.length)
            (blocks if entity.type in _BLOCKS else atoms).append((start, end))
    return list(pieces(text, TEXT_UNITS, atoms=atoms, blocks=blocks))


def _clipped(entities: Sequence[MessageEntity], *, first: int, last: int) -> list[EntityPart]:
    """The entities of one piece; a code block cut in two is one in both pieces."""
    clipped: list[EntityPart] = []
    for entity in entities:
        begin = max(entity.offset, first)
        length = min(entity.offset + entity.length, last) - begin
        if length > 0:
            clipped.append(_entity(entity, offset=begin - first, length=length))
    clipped.sort(key=lambda entity: (entity["offset"], -entity["length"]))
    return clipped[:_ENTITIES]


def _entity(entity: MessageEntity, *, offset: int, length: int) -> EntityPart:
    part = EntityPart(type=entity.type, offset=offset, length=length)
    if entity.url is not None:
        part["url"] = entity.url
    if entity.language is not None:
        part["language"] = entity.language
    return part


def _encodable(text: str) -> str:
    """Text without NUL and without half surrogate pairs, which neither JSON nor Telegram takes."""
    text = text.replace("\0", "").replace("\r\n", "\n")
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _protected(text: str) -> str:
    """The text with what Markdown would swallow put behind stand-ins."""
    if not text.isascii():
        text = _NONCHARACTERS.sub("\ufffd", text)
    if "<" in text:
        text = _HTML.sub(_STAND_INS["<"], text)
    if "$" in text and not _FORMULA.search(text):
        text = re.sub(r"(?<!\\)\$", _STAND_INS["$"], text)
    if "||" in text:
        text = _DOUBLE_BAR.sub(lambda line: line[0].replace("||", 2 * _STAND_INS["|"]), text)
    if "]:" in text:
        text = _LINK_TARGET.sub(lambda target: _kept_if_unused(target, text), text)
    return text


def _kept_if_unused(target: re.Match[str], text: str) -> str:
    """A line `[label]: address` is a link's target only if the label is used; else it is text."""
    if text.lower().count(f"[{target[2].lower()}]") > 1:
        return target[0]
    return f"{target[1]}{_STAND_INS['[']}{target[2]}]"


def _plain_symbols() -> RenderConfig:
    """Rendering without emoji before headings, and nothing folded away."""
    config = RenderConfig.isolated()
    config.cite_expandable = False
    symbols = config.markdown_symbol
    symbols.heading_level_1 = symbols.heading_level_2 = ""
    symbols.heading_level_3 = symbols.heading_level_4 = ""
    symbols.unordered_list_item = "•"
    symbols.task_completed, symbols.task_uncompleted = "☑", "☐"
    return config


_CONFIG: Final = _plain_symbols()

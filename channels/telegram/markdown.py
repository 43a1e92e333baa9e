"""Markdown -> a text and its formatting, as Telegram takes them. Pure, and never fails.

Takes what a model wrote; gives the text without markup and the entities beside it, or HTML for rich
messages. Where Markdown would swallow text (raw HTML, dollar amounts, unused link targets), it is
kept. It runs on the event loop: a text whose markup would cost too much time stays as it is.
"""

import re
from typing import Final

from telegramify_markdown import MessageEntity, RenderConfig, convert
from telegramify_markdown.rich import richify

from gateway.contract.text import sendable

_CONVERTER_FAILURES: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)

_NOT_OURS_TO_SEND: Final = frozenset({"custom_emoji"})

# Characters that Markdown would swallow stand for themselves under a noncharacter of the same
# UTF-16 length while the converter runs, so that offsets stay right and code stays untouched.
_STAND_INS: Final = {"<": "\ufdd0", "$": "\ufdd1", "[": "\ufdd2", "|": "\ufdd3"}
_BACK: Final = {ord(stand_in): char for char, stand_in in _STAND_INS.items()}
_BACK_IN_HTML: Final = _BACK | {ord(_STAND_INS["<"]): "&lt;"}
_NONCHARACTERS = re.compile("[\ufdd0-\ufdd3]")

_HTML = re.compile(
    r"(?<!\\)(?<!\]\()<(?=[A-Za-z/!?])(?![A-Za-z][\w+.-]*:[^\s<>]*>|[\w.+-]+@[\w.-]+>)"
)
_FORMULA = re.compile(r"\$[^$]*\\[A-Za-z][^$]*\$|\\[(\[]")
_LINK_TARGET = re.compile(r"(?m)^( {0,3})\[([^\]\n]+)\](?=:[^\S\n]*\S)")
_DOUBLE_BAR = re.compile(r"(?m)^(?![^\S\n]*\|).*\|\|.*$")
_IMAGE = re.compile(r'<img src="([^"]*)" alt="([^"]*)"(?: title="[^"]*")?/>')

_COST_MOST_US: Final = 30_000
_COST_MARKUP_US: Final = 4
_COST_LINE_US: Final = 8
_MARKUP: Final = str.maketrans("", "", "*_~`[]()!<>#|\\$&-=")
"""What a character of markup and a line cost the converter, measured generously, and the most that
one text may cost: some thirty pages of usual Markdown stay far below it.
"""

_ALWAYS_READ_CHARS: Final = 2_500

_FORMULAS_MOST: Final = 64
_COMMANDS_MOST: Final = 500
_BRACES_DEEP: Final = 6
_DOUBLING = re.compile(r"\\(?:sqrt|overline|underline|underbar)")
_DOUBLINGS_MOST: Final = 10
_BRACE = re.compile(r"[\[\]{}()]")
"""Formulas are read by trial, and a root or a line over a root makes twice as many characters: what
is more or deeper than this in a paragraph could take minutes and gigabytes.
"""

_NESTED = re.compile(r"(?m)^[ \t]*(?:(?:(?:[-+*]|\d{1,9}[.)])[ \t]+|>[ \t]*)){9}")
_TIMES_LONGER: Final = 4
_LONGER: Final = 4096
"""Lists in lists and padded tables may grow by the square of their length: no further than this."""

RICH_CHARS: Final = 32_768
RICH_BLOCKS: Final = 500
"""Longest rich message. Bot API, "Rich message limits"; read November 2026."""

_RICH_BLOCK = re.compile(r"<(?:p|h[1-6]|pre|ul|ol|li|tr|table|blockquote|hr|details)\b")


def formatted(markdown: str) -> tuple[str, list[MessageEntity]]:
    """The text without markup, and its formatting; the text as it is when it cannot be read."""
    source = sendable(markdown)
    if _is_too_intricate(source):
        return source, []
    has_formulas = _has_formulas(source)
    readable = _protected(source, has_formulas=has_formulas)
    try:
        text, entities = convert(readable, config=_CONFIG, latex_escape=has_formulas)
    except _CONVERTER_FAILURES:
        return source, []
    if not text.strip() or len(text) > _TIMES_LONGER * len(source) + _LONGER:
        return source, []
    known = [entity for entity in entities if entity.type not in _NOT_OURS_TO_SEND]
    for entity in known:
        entity.url = entity.url.translate(_BACK) if entity.url is not None else None
    return text.translate(_BACK), known


def rich_html(markdown: str) -> str | None:
    """The HTML of a rich message, without any that the text itself holds; None if it has no place.

    A picture becomes a link: Telegram would load it from wherever the model says.
    """
    source = sendable(markdown)
    if len(source) > RICH_CHARS or _is_too_intricate(source):
        return None
    has_formulas = _has_formulas(source)
    readable = _protected(source, has_formulas=has_formulas)
    try:
        made = richify(readable, latex_escape=has_formulas).html
    except _CONVERTER_FAILURES:
        return None
    if not made or len(_RICH_BLOCK.findall(made)) > RICH_BLOCKS:
        return None
    return _IMAGE.sub(_as_link, made.translate(_BACK_IN_HTML))


def _is_too_intricate(text: str) -> bool:
    """Whether reading the markup would hold up everybody else."""
    if _NESTED.search(text) is not None:
        return True
    if len(text) <= _ALWAYS_READ_CHARS:
        return False
    markup = len(text) - len(text.translate(_MARKUP))
    cost_us = _COST_MARKUP_US * markup + _COST_LINE_US * text.count("\n")
    return cost_us > _COST_MOST_US


def _has_formulas(text: str) -> bool:
    """Whether there are formulas, and all of them simple enough to be read."""
    if _FORMULA.search(text) is None or text.count("\\") > _COMMANDS_MOST:
        return False
    if text.count("\\[") + text.count("\\(") > _FORMULAS_MOST:
        return False
    if any(len(_DOUBLING.findall(part)) > _DOUBLINGS_MOST for part in text.split("\n\n")):
        return False
    depth = deepest = 0
    for brace in _BRACE.findall(text):
        depth = depth + 1 if brace in "{[(" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest <= _BRACES_DEEP


def _as_link(image: re.Match[str]) -> str:
    return f'<a href="{image[1]}">{image[2] or image[1]}</a>'


def _protected(text: str, *, has_formulas: bool) -> str:
    """The text with what Markdown would swallow put behind stand-ins."""
    if not text.isascii():
        text = _NONCHARACTERS.sub("\ufffd", text)
    if "<" in text:
        text = _HTML.sub(_STAND_INS["<"], text)
    if "$" in text and not has_formulas:
        text = re.sub(r"(?<!\\)\$", _STAND_INS["$"], text)
    if "||" in text:
        text = _DOUBLE_BAR.sub(lambda line: line[0].replace("||", 2 * _STAND_INS["|"]), text)
    if "]:" in text:
        lower = text.lower()
        text = _LINK_TARGET.sub(lambda target: _kept_if_unused(target, lower), text)
    return text


def _kept_if_unused(target: re.Match[str], lower: str) -> str:
    """A line `[label]: address` is a link's target only if the label is used; else it is text."""
    label = f"[{target[2].lower()}]"
    if lower.find(label, lower.find(label) + 1) >= 0:
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

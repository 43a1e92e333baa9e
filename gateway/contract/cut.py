"""Cuts a long text into pieces that a platform takes: for every channel's `render`.

Pure; knows nothing of Markdown and of no platform.
Takes a text, a limit in UTF-16 units and the stretches that should stay whole. Gives index ranges
in order; between two of them only white space is left out. A cut is made at the best place of the
later half of what fits: between paragraphs, then lines, then (inside code and quotes) lines, then
sentences, then words; failing all, between two characters as a reader sees them.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

_PARAGRAPH = re.compile(r"(?=\n[^\S\n]*\n)")
_LINE = re.compile(r"(?=\n)")
_SENTENCE = re.compile(r"[.!?…][\"'”’»)\]]*(?=\s)|[。！？]")
_WORD = re.compile(r"(?<=\S)(?=\s)")
_BLANK_LINES = re.compile(r"(?:[^\S\n]*\n)*")
_GAP = re.compile(r"(?:[^\S\n]*\n)+|[^\S\n]*")
"""White space between pieces: whole blank lines, so that a code line keeps its indentation."""

_FREE: Final = 0
_BLOCK: Final = 1
_ATOM: Final = 2

_LEVELS: Final = (
    (_PARAGRAPH, _FREE),
    (_LINE, _FREE),
    (_LINE, _BLOCK),
    (_SENTENCE, _BLOCK),
    (_WORD, _BLOCK),
)
"""Where to cut, best first: the pattern of the place, and the most it may be inside of."""

_JOINER: Final = "\u200d"
_LOOKS_FAR: Final = 2

Range = tuple[int, int]


def units(text: str) -> int:
    """Length in UTF-16 units, in which Telegram counts.

    >>> units("a😀")
    3
    """
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def unit_offsets(text: str) -> Sequence[int]:
    """The UTF-16 offset of every index of the text, its end included."""
    if text.isascii() or max(text) <= "\uffff":
        return range(len(text) + 1)
    return list(accumulate((1 + (char > "\uffff") for char in text), initial=0))


def index_at(offsets: Sequence[int], unit: int) -> int:
    """The index that stands at a UTF-16 offset; inside a pair, the index after it."""
    return min(bisect_left(offsets, unit), len(offsets) - 1)


def pieces(
    text: str, limit: int, *, atoms: Sequence[Range] = (), blocks: Sequence[Range] = ()
) -> Iterator[Range]:
    """Ranges of the text that hold at most `limit` units each, without white space around them.

    An atom (a link, bold words) is cut only when it is longer than the limit; a block (code, a
    quote) only where the text around it offers nothing.
    """
    offsets = unit_offsets(text)
    inside = _insides(offsets, limit, atoms=atoms, blocks=blocks)
    start = _end_of(_BLANK_LINES, text, 0)
    while start < len(text):
        fits = bisect_right(offsets, offsets[start] + limit) - 1
        end = len(text) if fits >= len(text) else _best_cut(text, start, fits, inside=inside)
        trimmed = start + len(text[start:end].rstrip())
        if trimmed > start:
            yield start, trimmed
        start = _end_of(_GAP, text, end)


def _insides(
    offsets: Sequence[int], limit: int, *, atoms: Sequence[Range], blocks: Sequence[Range]
) -> bytearray:
    """For every index, the strongest stretch that a cut there would cut in two."""
    inside = bytearray(len(offsets))
    for strength, ranges in ((_BLOCK, blocks), (_ATOM, atoms)):
        for start, end in ranges:
            is_short = offsets[end] - offsets[start] <= limit
            if end - start > 1 and (strength == _BLOCK or is_short):
                inside[start + 1 : end] = bytes([strength]) * (end - start - 1)
    return inside


def _best_cut(text: str, start: int, fits: int, *, inside: bytearray) -> int:
    for floor in (start + (fits - start) // 2, start + 1):
        for pattern, strength in _LEVELS:
            found = [
                m.end() for m in pattern.finditer(text, floor, min(fits + _LOOKS_FAR, len(text)))
            ]
            for cut in reversed(found):
                if start < cut <= fits and inside[cut] <= strength and not joined(text, cut):
                    return cut
    return _hard_cut(text, start, fits, inside=inside)


def _hard_cut(text: str, start: int, fits: int, *, inside: bytearray) -> int:
    """The last place between two graphemes outside of an atom, or simply all that fits."""
    for outside_of in (_ATOM, _ATOM + 1):
        for cut in range(fits, start, -1):
            if inside[cut] < outside_of and not joined(text, cut):
                return cut
    return max(fits, start + 1)


def _end_of(gap: re.Pattern[str], text: str, index: int) -> int:
    found = gap.match(text, index)
    return found.end() if found else index


def joined(text: str, index: int) -> bool:
    """Whether the characters before and after an index are one to a reader (UAX 29, simplified).

    >>> joined("e\u0301", 1), joined("ab", 1)
    (True, False)
    """
    if not 0 < index < len(text):
        return False
    before, after = text[index - 1], text[index]
    if after.isascii():
        return before == "\r" and after == "\n"
    if _JOINER in (before, after) or _extends(after):
        return True
    return _is_flag_letter(before) and _is_flag_letter(after) and _odd_flags_before(text, index)


def _extends(char: str) -> bool:
    """Marks, skin tones, tag characters and the later letters of a Hangul syllable."""
    return (
        unicodedata.category(char) in ("Mn", "Me", "Mc")
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
        or "\u1160" <= char <= "\u11ff"
    )


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _odd_flags_before(text: str, index: int) -> bool:
    count = 0
    while index - count > 0 and _is_flag_letter(text[index - count - 1]):
        count += 1
    return count % 2 == 1

"""How many SMS segments a text takes: what it costs, and how long it takes to leave.

Pure. GSM-7 (3GPP TS 23.038, default alphabet and its extension table) as long as every character
is in it, else UCS-2 for the whole text; a text of several segments gives up some room in each for
the header that joins them. A character is never split between two segments.
"""

from typing import Final

from gateway.contract.cut import units

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
"""These take two places: an escape and the character."""


def is_gsm7(text: str) -> bool:
    """Whether every character is in GSM-7.

    >>> is_gsm7("12 €"), is_gsm7("12 zł")
    (True, False)
    """
    return set(text) <= _BASIC | _EXTENDED


def segment_count(text: str) -> int:
    """Segments of a text, 1 for an empty one.

    >>> segment_count("a" * 160), segment_count("a" * 161), segment_count("[" * 81)
    (1, 2, 2)
    >>> segment_count("ł" * 70), segment_count("ł" * 71), segment_count("😀" * 36)
    (1, 2, 2)
    """
    if is_gsm7(text):
        return _segments([1 + (char in _EXTENDED) for char in text], alone=160, joined=153)
    return _segments([units(char) for char in text], alone=70, joined=67)


def _segments(sizes: list[int], *, alone: int, joined: int) -> int:
    if sum(sizes) <= alone:
        return 1
    count, used = 1, 0
    for size in sizes:
        if used + size > joined:
            count, used = count + 1, 0
        used += size
    return count

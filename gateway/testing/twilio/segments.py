"""How many SMS segments a text takes.

Pure functions. GSM-7 (3GPP TS 23.038, default alphabet and its extension table) as long as every
character is in it, else UCS-2 for the whole text; a text of several segments gives up some room in
each for the header that joins them. The channel has a count of its own: who judges a bill must not
take its sum from the one who pays.
"""

from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
"""These take two places: an escape and the character."""


def is_gsm7(text: str) -> bool:
    """Every character is in GSM-7.

    >>> is_gsm7("12 €"), is_gsm7("12 zł")
    (True, False)
    """
    return set(text) <= _BASIC | _EXTENDED


def segment_count(text: str) -> int:
    """Segments of a text, 1 for an empty one.

    >>> segment_count("a" * 160), segment_count("a" * 161), segment_count("€" * 81)
    (1, 2, 2)
    >>> segment_count("ł" * 70), segment_count("ł" * 71), segment_count("😀" * 35)
    (1, 2, 1)
    """
    if is_gsm7(text):
        return _parts([2 if character in _EXTENDED else 1 for character in text], 160, 153)
    return _parts([len(character.encode("utf-16-le")) // 2 for character in text], 70, 67)


def _parts(sizes: list[int], alone: int, joined: int) -> int:
    """Parts needed when no character may be cut."""
    if sum(sizes) <= alone:
        return 1
    count, used = 1, 0
    for size in sizes:
        if used + size > joined:
            count, used = count + 1, 0
        used += size
    return count

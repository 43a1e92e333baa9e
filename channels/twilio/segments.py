"""What an SMS costs: the GSM-7 alphabet, the segments of a text, plain signs for typographic ones.

Pure. GSM-7 (3GPP TS 23.038, default alphabet and its extension table) as long as every character
is in it, else UCS-2 for the whole text; a text of several segments gives up some room in each for
the header that joins them. A character is never split between two segments. Only signs that have a
plain twin are changed: letters never, since a name without its accents is another name.
"""

from typing import Final

from gateway.contract.cut import units

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
"""These take two places: an escape and the character."""


_TWINS: Final = {
    '"': "“”„‟″‶«»〝〞",
    "'": "‘’‚‛′‵`´ʼ‹›",
    "-": "‐‑‒–—―−•‣◦▪·",
    "...": "…",
    " ": "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t",
    "": "\u00ad\u200b\u2060\ufeff",
    "x": "×",
    "->": "→",
    "<-": "←",
}
_PLAIN: Final = {ord(sign): twin for twin, signs in _TWINS.items() for sign in signs}


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


def transliterated(text: str) -> str:
    """The text with plain signs for typographic ones: one curly quote doubles its price.

    >>> transliterated("“Yes” – 5 €…")
    '"Yes" - 5 €...'
    """
    return text if text.isascii() and "`" not in text else text.translate(_PLAIN)


def _segments(sizes: list[int], *, alone: int, joined: int) -> int:
    if sum(sizes) <= alone:
        return 1
    count, used = 1, 0
    for size in sizes:
        if used + size > joined:
            count, used = count + 1, 0
        used += size
    return count

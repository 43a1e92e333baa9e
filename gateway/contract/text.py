"""Texts of platforms made safe to keep and to send: for every channel's parse and render. Pure."""

from __future__ import annotations

REPLACEMENT = "\ufffd"
"""Stands for what is no character. The Unicode Standard, 23.8, "Replacement Character"."""


def storable(text: object) -> str:
    r"""What a platform gave as text, as every database takes it; of the same UTF-16 length.

    Raises TypeError for what is no text.

    >>> storable("a\0b"), storable("half \ud83d")
    ('a\ufffdb', 'half \ufffd')
    """
    if not isinstance(text, str):
        raise TypeError("not a text")
    return _without_halves(text.replace("\0", REPLACEMENT) if "\0" in text else text)


def sendable(text: str) -> str:
    r"""What a model wrote, as every platform takes it: no NUL, plain line ends.

    >>> sendable("one\r\ntwo\0")
    'one\ntwo'
    """
    return _without_halves(text.replace("\0", "").replace("\r\n", "\n"))


def _without_halves(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

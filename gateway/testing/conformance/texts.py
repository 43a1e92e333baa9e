"""Texts that channels get wrong: long ones, markup, emoji, other directions, and nothing at all.

Each carries numbered words (`word17`), so that what arrives can be checked for losses and order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

_WORD: Final = re.compile(r"word\d+")
_FENCE: Final = "```"


def _words(count: int, *, between: str = " ") -> str:
    return between.join(f"word{number}" for number in range(count))


AWKWARD: Final = {
    "one word": "word0",
    "ten thousand characters": _words(1250),
    "one paragraph without spaces": _words(1250, between=""),
    "many lines": _words(900, between="\n"),
    "paragraphs": _words(400, between="\n\n"),
    "emoji": _words(300, between=" 👩‍👩‍👧‍👦🏳️‍🌈 "),
    "right to left": _words(300, between=" שלום عليكم "),
    "combining marks": _words(300, between=" a\u0301\u0323\u0308 "),
    "a code fence": f"word0\n{_FENCE}python\n{_words(700, between=chr(10))}\n{_FENCE}\nword700",
    "a fence that never ends": f"{_FENCE}\n{_words(50)}",
    "a table": "| a | b |\n|---|---|\n" + "\n".join(f"| word{n} | x |" for n in range(60)),
    "emphasis": " ".join(f"**word{2 * n}** _word{2 * n + 1}_" for n in range(60)),
    "a list": "\n".join(f"- word{n}" for n in range(100)),
    "headings": "\n\n".join(f"# word{n}" for n in range(40)),
    "hostile markup": "word0 <b>word1</b> *word2 _word3 [word4](javascript:x) `word5 <!channel>",
    "unbalanced": "word0 **word1 *word2 ~~word3 `word4 [word5 (word6",
    "escapes": r"word0 \* word1 \_ word2 \\ word3 &amp; word4 < word5 > word6",
    "control characters": "word0 \x07 word1 \x1b[31m word2 \u202e word3 \ufeff word4",
    "a link": "word0 [word1](https://example.com/a_(b)?c=d&e=f#g) word2 https://example.com/x_y_z",
}
"""Name to text; a channel must be able to render and deliver every one of them."""

EMPTY: Final = ("", " ", "\n\n", "\u200b")
"""Texts that say nothing: they may give no part, but never an error."""


def words_of(texts: Iterable[str]) -> Sequence[str]:
    """The numbered words in these texts, in order."""
    return [word for text in texts for word in _WORD.findall(text)]

"""What people write in Slack, as plain text. Pure.

Slack escapes `&`, `<` and `>`, and writes mentions and links in angle brackets. Our own mention is
taken out: it only says that we are meant. docs.slack.dev, "Formatting message text"; read November
2026.
"""

import re
from typing import Final

_BRACKETS: Final = re.compile(r"<([^<>\n]*)>")
_SPACES: Final = re.compile(r"[^\S\n]{2,}")


def plain(text: str, *, bot_user: str) -> str:
    """The text as its reader sees it, without our own mention.

    >>> plain("<@U1> ask <@U2|ada> in <#C1|general> &amp; see <https://a.b|there>", bot_user="U1")
    'ask @ada in #general & see there (https://a.b)'
    """
    own = re.compile(rf"<@{re.escape(bot_user)}(?:\|[^<>\n]*)?>")
    if own.search(text):
        text = _SPACES.sub(" ", own.sub(" ", text)).strip()
    return unescape(_BRACKETS.sub(lambda found: _shown(found[1]), text))


def names(text: str, *, bot_user: str) -> bool:
    """Whether the text mentions that user.

    >>> names("hey <@U1>", bot_user="U1"), names("hey &lt;@U1&gt;", bot_user="U1")
    (True, False)
    """
    return f"<@{bot_user}>" in text or f"<@{bot_user}|" in text


def unescape(text: str) -> str:
    """The three characters that Slack escapes, once.

    >>> unescape("1 &lt; 2 &amp;amp; 3")
    '1 < 2 &amp; 3'
    """
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _shown(inside: str) -> str:
    target, _, label = inside.partition("|")
    match target[:1]:
        case "@":
            return f"@{label or target[1:]}"
        case "#":
            return f"#{label or target[1:]}"
        case "!":
            return _special(target, label)
    address = target.removeprefix("mailto:").removeprefix("tel:")
    if label in (address, address.partition("://")[2]):
        return label
    return f"{label} ({address})" if label else address


def _special(target: str, label: str) -> str:
    """`<!here>`, a group of people, or a date with its words."""
    if label:
        return label if target.startswith("!date") else f"@{label.removeprefix('@')}"
    return f"@{target[1:].partition('^')[0]}"

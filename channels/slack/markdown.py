"""What a model's Markdown must become before Slack may read it, and how a long one is cut.

Pure. Slack reads its own `<...>` marks inside Markdown too: `<!channel>` rings for everybody,
`<https://bad|good>` hides where a link goes. Here every such mark becomes visible text, and a link
whose label names another site shows its address. Takes Markdown; gives Markdown of the same words.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gateway.contract.cut import Range, pieces
from gateway.contract.text import sendable

_FENCE_LINE: Final = re.compile(r"(?m)^([^\S\n]*)(`{3,20}|~{3,20})([^\n]*)$")
_INLINE_CODE: Final = re.compile(
    r"(?<!`)(`+)(?!`)(?:(?!\n\s*\n).){1,2000}?(?<!`)\1(?!`)", re.DOTALL
)
_TABLE: Final = re.compile(r"(?m)^[^\S\n]*\|.*\|[^\S\n]*$(?:\n^[^\S\n]*\|.*\|[^\S\n]*$)+")
_LINK: Final = re.compile(r"(?<!\\)\[([^\[\]\n]{1,1000})\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)")
_BARE_LINK: Final = re.compile(r"https?://[^\s<>]+")
_ESCAPE: Final = re.compile(r"&(?:lt|gt|amp);")

_OPENING: Final = re.compile(r"<(?!https?://[^\s<>|]+>)")
_MARK: Final = re.compile(
    r"<(?=[@#][A-Z0-9]|!(?:channel|here|everyone|group|subteam|date)\b|[a-z][a-z0-9+.-]*:[^>\n]*\|)",
    re.IGNORECASE,
)
"""Slack's marks: people, channels, groups, dates, links with a label.

docs.slack.dev, "Formatting message text"; read November 2026. In a Markdown block an escaped
bracket is shown as such and not read again, measured in github.com/PostHog/posthog pull 95054.
"""

_SITE: Final = re.compile(
    r"(?:(?:[a-z]+://|www\.)\S+|(?:[\w-]+\.)+(?:com|org|net|gov|edu|io|co|bank|app)(?:/\S*)?)",
    re.IGNORECASE,
)
_INVISIBLE: Final = re.compile("[\\s\u200b-\u200f\u2060\ufeff\u00ad]*")
_UNFINISHED: Final = re.compile(r"[`<\[]")
_INFO_CHARACTERS: Final = 60


@dataclass(frozen=True, slots=True)
class Fence:
    """A block of code: from its opening line to the end of its closing one, if it has one."""

    start: int
    end: int
    code: Range
    marker: str
    opening: str


def harmless(markdown: str) -> str:
    """The same Markdown without anything that Slack would read as a mark of its own.

    >>> harmless("<!channel> read [bank.com](https://evil.example), `a < b`")
    '&lt;!channel> read bank.com (https://evil.example), `a < b`'
    """
    text = sendable(markdown)
    if "<" not in text and "[" not in text:
        return text
    done, made = 0, []
    for start, end in code_of(text):
        made += [_defused(text[done:start]), _MARK.sub("&lt;", text[start:end])]
        done = end
    return "".join((*made, _defused(text[done:])))


def is_empty(markdown: str) -> bool:
    """Whether a text shows nothing at all: Slack would refuse it."""
    return _INVISIBLE.fullmatch(markdown) is not None


def settled(markdown: str) -> str:
    """As much of a harmless, growing text as will stay like this, whatever comes after it."""
    if any(fence.end == len(markdown) for fence in fences(markdown)):
        return markdown.rstrip("`~").rstrip()
    line = markdown.rfind("\n") + 1
    done = max((end for _, end in code_of(markdown)), default=0)
    done = max(done, *(m.end() for m in _LINK.finditer(markdown, line)), line)
    unfinished = _UNFINISHED.search(markdown, done)
    return (markdown[: unfinished.start()] if unfinished else markdown).rstrip()


def cut(markdown: str, limit: int) -> Iterator[str]:
    """Pieces of a harmless text that Slack takes; code that is cut in two is code in both."""
    if len(markdown) <= limit // 2:
        if not is_empty(markdown):
            yield markdown.strip("\n").rstrip()
        return
    blocks = fences(markdown)
    for start, end in _ranges(markdown, limit, blocks):
        piece = markdown[start:end]
        if is_empty(piece):
            continue
        before = next((f for f in blocks if f.code[0] <= start < f.code[1]), None)
        after = next((f for f in blocks if f.start < end <= f.code[1] and end < f.end), None)
        head = f"{before.opening}\n" if before else ""
        yield f"{head}{piece}\n{after.marker}" if after else f"{head}{piece}"


def fences(text: str) -> list[Fence]:
    """The blocks of code; one that is never closed reaches to the end."""
    found: list[Fence] = []
    opened: re.Match[str] | None = None
    for line in _FENCE_LINE.finditer(text):
        marker, info = line[2], line[3].strip()
        if opened is None:
            if "`" not in info:
                opened = line
        elif not info and marker.startswith(opened[2]):
            found.append(_fence(opened, code_end=line.start(), end=line.end()))
            opened = None
    if opened is not None:
        found.append(_fence(opened, code_end=len(text), end=len(text)))
    return found


def code_of(text: str) -> list[Range]:
    """The stretches of a text that are code, in order."""
    if "`" not in text and "~~~" not in text:
        return []
    found: list[Range] = []
    done = 0
    for fence in [*fences(text), None]:
        until = fence.start if fence else len(text)
        found += [m.span() for m in _INLINE_CODE.finditer(text, done, until)]
        if fence:
            found.append((fence.start, fence.end))
            done = fence.end
    return found


def _fence(opened: re.Match[str], *, code_end: int, end: int) -> Fence:
    opening = f"{opened[1][:8]}{opened[2]}{opened[3].strip()[:_INFO_CHARACTERS]}"
    code = (min(opened.end() + 1, code_end), code_end)
    return Fence(opened.start(), end, code, f"{opened[1][:8]}{opened[2]}", opening)


def _ranges(text: str, limit: int, blocks: Sequence[Fence]) -> Iterator[Range]:
    """Where the pieces begin and end: links whole, code and tables if at all possible."""
    atoms = [m.span() for pattern in (_LINK, _BARE_LINK, _ESCAPE) for m in pattern.finditer(text)]
    for fence in blocks:
        atoms += [_first_line(text, fence), _last_line(text, fence)]
    stretches = [(fence.start, fence.end) for fence in blocks]
    stretches += [m.span() for m in _TABLE.finditer(text)]
    return pieces(text, limit, atoms=atoms, blocks=stretches)


def _first_line(text: str, fence: Fence) -> Range:
    """The opening line together with the first line of code, so that no block is empty."""
    end = text.find("\n", fence.code[0])
    return fence.start, min(end if end >= 0 else fence.end, fence.end)


def _last_line(text: str, fence: Fence) -> Range:
    start = text.rfind("\n", fence.code[0], max(fence.code[1] - 1, fence.code[0])) + 1
    return max(start, fence.code[0]), fence.end


def _defused(text: str) -> str:
    """Text outside of code: no bracket opens a mark, no label lies about its link."""
    if "](" in text:
        text = _LINK.sub(_honest, text)
    return _OPENING.sub("&lt;", text)


def _honest(link: re.Match[str]) -> str:
    label, target = link[1], link[2]
    named = _SITE.search(label)
    if named is None or _host(named[0]) == _host(target):
        return link[0]
    return f"{label} ({target})"


def _host(address: str) -> str:
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
    except ValueError:
        return address
    return host.removeprefix("www.")

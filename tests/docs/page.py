"""Documents as tests read them: their fenced blocks, and the files they show."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: what stands behind the fence, and the text in it."""

    info: str
    text: str


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    return [Block(info.strip(), text) for info, text in _BLOCK.findall((ROOT / page).read_text())]


def files_of(page: str) -> dict[str, str]:
    """The files a page shows: blocks marked `file=NAME`."""
    named = [(re.search(r"\bfile=(\S+)", block.info), block.text) for block in blocks(page)]
    return {match[1]: text for match, text in named if match}

"""Something that turns recorded speech into text."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Recorded speech; `data` is read once, and has `size_bytes`."""

    mime: str
    size_bytes: int
    data: AsyncGenerator[bytes, None]


class Transcriber(Protocol):
    """Turns speech into text."""

    async def text(self, recording: Recording) -> str:
        """The words that were said, "" where there are none; one try. Raises ModelError."""
        ...

"""Something that turns recorded speech into text, and how the configured one is made."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.models import TranscriptionSpec
from gateway.domain.policy import ModelPolicy


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


def build_transcriber(spec: TranscriptionSpec | None, policy: ModelPolicy) -> Transcriber | None:
    """The configured transcriber, or None; it holds nothing that must be closed."""
    if spec is None:
        return None
    # Here and not above: the openai package takes half a second and 30 MiB, which a
    # configuration without voice notes does not pay.
    from gateway.agents.transcribe import OpenAITranscriber  # noqa: PLC0415

    return OpenAITranscriber(spec, policy)

"""What a model is to us: a request in, a stream of events out.

Messages and tools are in the Chat Completions form (OpenAI API reference, "Chat", read
2026-11), which every provider we talk to understands; they are plain JSON values and go to the
wire as they are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.domain.conversation import ToolCall, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One call: who asks, the transcript with instructions first, the tools on offer.

    `wants_stream` False: nobody listens, the text may come in one piece (cheaper). `deadline` is
    on the clock of the event loop: a retry that could not begin before it is not waited for.
    """

    agent: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    wants_stream: bool = True
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class ModelText:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ModelRestarted:
    """The attempt broke after text was given; that text is void and the answer starts over."""


@dataclass(frozen=True, slots=True)
class ModelDone:
    """The answer is complete; last event. `was_cut` = the provider stopped it at a limit."""

    tool_calls: tuple[ToolCall, ...]
    usage: Usage
    model: str
    was_cut: bool = False


ModelEvent = ModelText | ModelRestarted | ModelDone


class Model(Protocol):
    """Something that answers."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Answer as events, ending with exactly one `ModelDone`; raises ModelError.

        Closing the generator frees the connection.
        """
        ...

    async def aclose(self) -> None:
        """Free connections."""
        ...

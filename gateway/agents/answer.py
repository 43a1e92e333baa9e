"""One answer of a model: listened to as it grows, and the transcript entries it becomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import assert_never

from gateway.agents.model import Model, ModelDone, ModelRequest, ModelRestarted, ModelText
from gateway.domain.bots import Agent
from gateway.domain.conversation import Message, TextPart, ToolCall, Usage
from gateway.domain.ids import MessageId, new_message_id
from gateway.domain.turns import MessageStarted, TextDelta, TextRestarted
from gateway.errors import GatewayError, ModelError

TextEvents = AsyncGenerator[MessageStarted | TextDelta | TextRestarted, None]


class LimitReached(GatewayError):
    """A limit of the turn ended it; code `turn_timeout` or `step_limit`."""


def out_of_time() -> LimitReached:
    """The turn's deadline has passed."""
    return LimitReached("The turn took too long.", code="turn_timeout")


@dataclass(slots=True)
class Answer:
    """What one model call has given so far.

    `is_shown`: the person may read along; `is_started`: they have begun to.
    """

    agent: str
    is_shown: bool
    message_id: MessageId = field(default_factory=new_message_id)
    is_started: bool = False
    pieces: list[str] = field(default_factory=list)
    calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    model: str | None = None
    was_cut: bool = False

    @property
    def text(self) -> str:
        """The text; white space alone is none."""
        text = "".join(self.pieces)
        return text if text.strip() else ""

    def message(self, *, is_incomplete: bool = False, is_internal: bool = False) -> Message:
        """The text as a transcript entry."""
        return Message(
            id=self.message_id,
            role="assistant",
            agent=self.agent,
            content=(TextPart(self.text),),
            visibility="internal" if is_internal else "external",
            is_incomplete=is_incomplete,
            model=self.model,
            usage=None if self.calls else self.usage,
        )

    def calling(
        self, calls: tuple[ToolCall, ...], *, has_usage: bool = True, text: str = ""
    ) -> Message:
        """Tool calls of this answer as a transcript entry."""
        return Message(
            id=new_message_id(),
            role="assistant",
            agent=self.agent,
            content=(TextPart(text),) if text else (),
            visibility="internal",
            tool_calls=calls,
            model=self.model,
            usage=self.usage if has_usage else None,
        )


async def listen(
    model: Model, request: ModelRequest, *, answer: Answer, deadline: float
) -> TextEvents:
    """Ask the model; fills `answer` and yields what the person may see of it.

    Raises ModelError, and LimitReached when the deadline passes.
    """
    stream = model.stream(request)
    async with aclosing(stream):
        while answer.model is None:
            try:
                async with asyncio.timeout_at(deadline):
                    event = await anext(stream)
            except TimeoutError as error:
                raise out_of_time() from error
            except StopAsyncIteration as end:
                raise ModelError("The model's answer has no end.", transient=True) from end
            match event:
                case ModelText():
                    for shown in _add(answer, event.text):
                        yield shown
                case ModelRestarted():
                    answer.pieces.clear()
                    if answer.is_started:
                        yield TextRestarted(answer.message_id)
                case ModelDone():
                    answer.calls = event.tool_calls
                    answer.usage = event.usage
                    answer.model = event.model
                    answer.was_cut = event.was_cut
                case _:
                    assert_never(event)


def tool_message(call: ToolCall, text: str) -> Message:
    """What a tool gave back, as a transcript entry."""
    return Message(
        id=new_message_id(),
        role="tool",
        content=(TextPart(text),),
        visibility="internal",
        tool_call_id=call.id,
        tool_name=call.name,
    )


def handoff_message(call: ToolCall, to: Agent) -> Message:
    """The result of a hand-off, as a transcript entry."""
    return tool_message(call, json.dumps({"assistant": to.name}, ensure_ascii=False))


def _add(answer: Answer, text: str) -> list[MessageStarted | TextDelta]:
    """Take more text. A message begins with its first letter, not with white space."""
    if not answer.pieces:
        text = text.lstrip()
    if not text:
        return []
    answer.pieces.append(text)
    if not answer.is_shown:
        return []
    delta = TextDelta(answer.message_id, text)
    if answer.is_started:
        return [delta]
    answer.is_started = True
    return [MessageStarted(answer.message_id, answer.agent), delta]

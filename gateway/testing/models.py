"""A model that answers what a test wrote down, for tests of everything above the model.

    model = FakeModel("Hello.", asks(ToolCall("c1", "get_balance", "{}")), "You owe 5 euro.")

Each call takes the next answer; the requests are kept. Typed by the same protocol as the real ones.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from gateway.agents.model import ModelDone, ModelEvent, ModelRequest, ModelText
from gateway.domain.conversation import ToolCall, Usage
from gateway.errors import ModelError

USAGE = Usage(10, 5)


@dataclass(frozen=True, slots=True)
class Hold:
    """Gives `text`, then waits for `release` (for ever, if nobody sets it), then goes on."""

    text: str = ""
    rest: str = ""
    release: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)


FakeAnswer = str | ModelError | Hold | Sequence[ModelEvent | ModelError]


class FakeModel:
    """Plays its answers in order; without one left it raises AssertionError.

    A string is said word by word, an error is raised, also amid events.
    """

    def __init__(self, *answers: FakeAnswer, name: str = "fake-model") -> None:
        self.requests: list[ModelRequest] = []
        self.is_closed = False
        self.closed_early = 0
        self._answers = deque(answers)
        self._name = name

    def enqueue(self, *answers: FakeAnswer) -> None:
        """Answer further calls with these."""
        self._answers.extend(answers)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """The next answer."""
        self.requests.append(request)
        if not self._answers:
            raise AssertionError("the fake model was asked more often than the test expects")
        is_finished = False
        try:
            async with aclosing(self._play(self._answers.popleft())) as events:
                async for event in events:
                    yield event
            is_finished = True
        finally:
            self.closed_early += not is_finished

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True

    async def _play(self, answer: FakeAnswer) -> AsyncGenerator[ModelEvent, None]:
        match answer:
            case ModelError():
                raise answer
            case Hold():
                if answer.text:
                    yield ModelText(answer.text)
                answer.reached.set()
                await answer.release.wait()
                yield ModelText(answer.rest)
                yield self._done()
            case str():
                for word in re.findall(r"\s*\S+", answer):
                    yield ModelText(word)
                yield self._done()
            case _:
                for event in answer:
                    if isinstance(event, ModelError):
                        raise event
                    yield event

    def _done(self) -> ModelDone:
        return ModelDone((), USAGE, self._name)


def asks(*calls: ToolCall, text: str = "") -> list[ModelEvent]:
    """An answer that calls tools, after a text or none."""
    said: list[ModelEvent] = [ModelText(text)] if text else []
    return [*said, ModelDone(calls, USAGE, "fake-model")]

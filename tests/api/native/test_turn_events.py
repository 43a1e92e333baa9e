"""Our events as the stream's documents: which become what, and in which order."""

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.api.native.answers import turn_error
from gateway.api.native.turn_events import frames
from gateway.domain.conversation import Message, TextPart, ToolCall
from gateway.domain.ids import MessageId, ProjectId, new_session_id, new_turn_id
from gateway.domain.turns import (
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TextRestarted,
    ToolCalled,
    ToolReturned,
    Turn,
    TurnError,
    TurnState,
)
from gateway.service.chat import LiveEvent, NumberedEvent, TurnBegan, TurnEnded
from tests.api.conformance import events

NOW = datetime(2026, 1, 1, tzinfo=UTC)
M1, M2 = MessageId("msg_1"), MessageId("msg_2")
TURN = Turn(
    id=new_turn_id(),
    project_id=ProjectId("demo"),
    session_id=new_session_id(),
    seq=1,
    kind="message",
    state="running",
    bot="support",
    created_at=NOW,
)


async def told(*numbered: tuple[int, LiveEvent]) -> list[dict[str, Any]]:
    """The documents of these events."""

    async def source(items: Sequence[tuple[int, LiveEvent]]) -> AsyncGenerator[NumberedEvent, None]:
        for number, event in items:
            yield NumberedEvent(number, event)

    pieces = [piece async for piece in frames(TURN, source(numbered), from_start=False)]
    return list(events(b"".join(pieces)))


def ended(state: TurnState, **facts: Any) -> TurnEnded:
    """The end of the turn in that state."""
    return TurnEnded(replace(TURN, state=state, **facts))


async def test_a_new_attempt_voids_the_message_that_was_open() -> None:
    documents = await told(
        (1, TurnBegan(1)),
        (2, MessageStarted(M1, "Desk")),
        (3, TextDelta(M1, "Hal")),
        (1_000_001, TurnBegan(2)),
        (1_000_002, MessageStarted(M2, "Desk")),
    )

    assert [(d["type"], d["seq"]) for d in documents] == [
        ("turn.in_progress", 1),
        ("message.created", 2),
        ("message.delta", 3),
        ("message.restarted", 1_000_000),
        ("turn.in_progress", 1_000_001),
        ("message.created", 1_000_002),
    ]
    assert documents[3]["message_id"] == M1
    assert documents[4]["attempt"] == 2


async def test_text_that_is_taken_back_is_said_to_be() -> None:
    [document] = await told((4, TextRestarted(M1)))

    assert document == {"type": "message.restarted", "seq": 4, "message_id": M1}


async def test_tools_are_told_when_they_start_and_when_they_come_back() -> None:
    documents = await told(
        (1, ToolCalled(ToolCall("c1", "lookup", "{}"), "Desk")),
        (2, ToolReturned("c1", "lookup", False)),
    )

    assert documents == [
        {"type": "tool.started", "seq": 1, "name": "lookup", "call_id": "c1", "agent": "Desk"},
        {"type": "tool.completed", "seq": 2, "name": "lookup", "call_id": "c1", "ok": False},
    ]


@pytest.mark.parametrize(
    "message",
    [
        Message(id=M1, role="assistant", visibility="internal", content=(TextPart("draft"),)),
        Message(id=M1, role="tool", content=(TextPart("40"),), tool_call_id="c1"),
        Message(id=M1, role="assistant", tool_calls=(ToolCall("c1", "lookup", "{}"),)),
    ],
)
async def test_what_was_not_said_to_the_person_is_not_told(message: Message) -> None:
    assert await told((1, MessageCompleted(message))) == []


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (ended("done"), "turn.completed"),
        (ended("done", is_incomplete=True), "turn.incomplete"),
        (ended("cancelled"), "turn.cancelled"),
        (ended("cancelled", is_incomplete=True), "turn.incomplete"),
        (ended("failed", error=TurnError("model_error", "No.")), "turn.failed"),
        (ended("dead"), "turn.failed"),
        (ended("waiting", tool_calls=(ToolCall("c1", "x", "{}"),)), "turn.requires_action"),
    ],
)
async def test_every_end_has_one_name(end: TurnEnded, kind: str) -> None:
    [document] = await told((9, end))

    assert document["type"] == kind
    assert json.dumps(document["turn"]["id"]) == json.dumps(TURN.id)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (None, 500, "internal"),
        (TurnError("poison", "It broke."), 500, "internal"),
        (TurnError("model_error", "No answer."), 502, "model_error"),
        (TurnError("model_refused_request", "No."), 502, "model_refused_request"),
        (TurnError("model_unavailable", "Down."), 503, "model_unavailable"),
        (TurnError("turn_timeout", "Too long."), 504, "turn_timeout"),
    ],
)
def test_whoever_waited_is_told_why_the_turn_failed(
    error: TurnError | None, status: int, code: str
) -> None:
    shown = turn_error(replace(TURN, state="failed", error=error))

    assert (shown.status, shown.code) == (status, code)

"""How the story of a turn is told from what the store keeps of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.contract import Address
from gateway.domain.conversation import Message, TextPart, ToolCall, Usage
from gateway.domain.delivery import Delivery, DeliveryState
from gateway.domain.ids import (
    ProjectId,
    SessionId,
    TurnId,
    new_delivery_id,
    new_message_id,
)
from gateway.domain.turns import Turn, TurnError, TurnState
from gateway.service.story import Step, tell
from gateway.store.protocol.dead_letters import Decision
from gateway.store.protocol.history import TurnTrace
from gateway.store.protocol.turns import StoredToolResult

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CALL = ToolCall("call_1", "get_balance", '{"card": "4821"}')


def a_turn(*messages: Message, state: TurnState = "done") -> Turn:
    """A turn of one attempt."""
    return Turn(
        id=TurnId("turn_1"),
        project_id=ProjectId("demo"),
        session_id=SessionId("ses_1"),
        seq=1,
        kind="message",
        state=state,
        bot="support",
        channel="tg",
        attempts=1,
        messages=messages,
        created_at=NOON,
        started_at=NOON + timedelta(seconds=1),
        finished_at=NOON + timedelta(seconds=3),
    )


def said(text: str, *, agent: str = "Desk") -> Message:
    """A message of an agent."""
    return Message(
        id=new_message_id(),
        role="assistant",
        agent=agent,
        content=(TextPart(text),),
        model="demo",
        usage=Usage(10, 5),
    )


def calling(call: ToolCall) -> Message:
    """An agent's wish to call a tool."""
    return Message(
        id=new_message_id(),
        role="assistant",
        agent="Desk",
        visibility="internal",
        tool_calls=(call,),
    )


def answering(call: ToolCall, text: str) -> Message:
    """What the tool gave back."""
    return Message(
        id=new_message_id(), role="tool", tool_call_id=call.id, content=(TextPart(text),)
    )


def a_delivery(state: DeliveryState, *, error: str | None = None) -> Delivery:
    """A part that was tried three times."""
    return Delivery(
        id=new_delivery_id(),
        project_id=ProjectId("demo"),
        session_id=SessionId("ses_1"),
        turn_id=TurnId("turn_1"),
        part_no=0,
        out_no=1,
        account="bot",
        address=Address(channel="tg", chat="42"),
        part={},
        state=state,
        attempts=3,
        error=error,
        next_at=NOON + timedelta(minutes=2),
        created_at=NOON,
    )


def steps(
    turn: Turn,
    *,
    tools: Sequence[StoredToolResult] = (),
    deliveries: Sequence[Delivery] = (),
) -> list[Step]:
    """The steps of that turn's story."""
    return list(tell(TurnTrace(turn, tools, deliveries)).steps)


def the(kind: str, found: Sequence[Step]) -> Step:
    """The one step of that kind."""
    (step,) = [step for step in found if step.kind == kind]
    return step


def test_a_turn_that_waits_says_so() -> None:
    waiting = replace(a_turn(state="queued"), started_at=None, finished_at=None)

    assert [step.title for step in steps(waiting)] == [
        "made as a message over tg",
        "waits for a worker",
    ]


@pytest.mark.parametrize(
    ("fields", "title", "is_bad"),
    [
        ({"kind": "command"}, "done at once, without a worker", False),
        ({"error": TurnError("opted_out", "No.")}, "kept, and not worked on", False),
        ({"error": TurnError("overloaded", "Busy.")}, "never began", True),
    ],
    ids=["command", "silent", "busy"],
)
def test_a_turn_without_a_worker_says_why(fields: dict[str, Any], title: str, is_bad: bool) -> None:
    turn = replace(a_turn(state="cancelled"), started_at=None, **fields)

    queued = the("queued", steps(turn))

    assert (queued.title, queued.is_bad) == (title, is_bad)


def test_what_was_received_stands_first_with_its_text() -> None:
    message = Message(id=new_message_id(), role="user", content=(TextPart("Hello"),))

    first = steps(a_turn(message, said("Hi")))[0]

    assert (first.kind, first.text, first.id) == ("received", "Hello", message.id)


def test_a_model_call_tells_its_tokens_once() -> None:
    told = steps(a_turn(said("Hi")))

    assert the("model", told).title == "Desk asked the model demo: 10 tokens in, 5 out"
    assert the("message", told).title == "Desk said"


def test_a_tool_call_is_told_with_arguments_and_result() -> None:
    turn = a_turn(calling(CALL), answering(CALL, "40"))

    step = the("tool", steps(turn, tools=[StoredToolResult(CALL, "40", is_ok=True)]))

    assert (step.facts["arguments"], step.facts["result"]) == ('{"card": "4821"}', "40")
    assert not step.is_bad


def test_a_tool_that_failed_stands_out() -> None:
    turn = a_turn(calling(CALL), answering(CALL, "timeout"))

    step = the("tool", steps(turn, tools=[StoredToolResult(CALL, "timeout", is_ok=False)]))

    assert step.is_bad
    assert step.title == "Desk called get_balance, which failed"


def test_a_call_that_broke_off_with_its_process_is_not_left_out() -> None:
    told = steps(a_turn(said("Hi")), tools=[StoredToolResult(CALL, None, is_ok=False)])

    assert the("tool", told).title == "get_balance was called and never ended"
    assert the("tool", told).is_bad


def test_a_hand_off_names_both_agents() -> None:
    call = ToolCall("call_2", "transfer_to_billing", "{}")

    step = the("handoff", steps(a_turn(calling(call), answering(call, '{"assistant": "Billing"}'))))

    assert step.title == "Desk handed over to Billing"


@pytest.mark.parametrize("answer", ['{"error": "one step at a time"}', "not JSON", "[]"])
def test_a_hand_off_that_was_not_followed_says_why(answer: str) -> None:
    call = ToolCall("call_2", "transfer_to_billing", "{}")

    step = the("handoff", steps(a_turn(calling(call), answering(call, answer))))

    assert step.title == "Desk wished to hand to billing"
    assert step.text == answer


def test_attempts_that_ended_with_their_process_are_counted() -> None:
    turn = replace(a_turn(), attempts=3, crash_count=2)

    step = the("claimed", steps(turn))

    assert step.title == "claimed by a worker 3 times, its process ended 2 times"
    assert step.is_bad


def test_a_failed_turn_ends_with_its_reason() -> None:
    turn = replace(a_turn(state="failed"), error=TurnError("model_error", "The model is away."))

    end = the("ended", steps(turn))

    assert (end.title, end.text, end.is_bad) == ("failed", "The model is away.", True)
    assert end.facts["duration_ms"] == 2000


def test_a_waiting_turn_names_the_tools_its_caller_has_to_run() -> None:
    turn = replace(a_turn(calling(CALL), state="waiting"), tool_calls=(CALL,), finished_at=None)

    told = steps(turn)

    assert the("tool", told).title == "get_balance waits for its result"
    assert the("ended", told).title == "waits for the caller to run get_balance"


def test_a_running_turn_has_no_end_yet() -> None:
    turn = replace(a_turn(state="running"), finished_at=None)

    assert [step.kind for step in steps(turn)] == ["received", "claimed"]


def test_a_delivery_is_told_with_its_tries_and_errors() -> None:
    dead = the("delivery", steps(a_turn(), deliveries=[a_delivery("dead", error="blocked")]))
    due = the("delivery", steps(a_turn(), deliveries=[a_delivery("pending")]))

    assert dead.title == "part 1 over tg: dead after 3 tries"
    assert (dead.text, dead.is_bad, dead.facts["next_at"]) == ("blocked", True, None)
    assert (due.is_bad, due.facts["next_at"]) == (False, NOON + timedelta(minutes=2))


def test_an_operators_decision_stands_before_what_came_of_it() -> None:
    delivery = a_delivery("sent")
    decision = Decision(
        action="delivery_replayed",
        target=delivery.id,
        detail={"state": "held", "error": "nobody knows", "attempts": 2},
        at=NOON + timedelta(hours=1),
    )
    other = replace(decision, target="dlv_other")

    story = tell(TurnTrace(a_turn(), (), [delivery]), [decision, other])

    *_, decided, sent = story.steps
    assert (decided.kind, decided.text) == ("decision", "nobody knows")
    assert decided.title == "an operator sent a part again; it was held"
    assert sent.kind == "delivery"

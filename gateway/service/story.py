"""What happened in a turn, told in order: from the message that came in to the last delivery.

Pure functions over a stored trace. The store keeps what happened; nothing is guessed here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gateway.domain.bots import HANDOFF_PREFIX
from gateway.domain.conversation import Message, ToolCall
from gateway.domain.delivery import Delivery
from gateway.domain.turns import Turn
from gateway.store.protocol.dead_letters import Decision
from gateway.store.protocol.history import TurnTrace
from gateway.store.protocol.turns import StoredToolResult

_DECISIONS = {
    "delivery_replayed": "sent a part again",
    "delivery_dropped": "gave a part up",
}
_KEPT_ONLY = frozenset({"blocked", "opted_out", "not_admitted", "loop_guard"})
"""Errors of messages that were stored, and that nobody was to answer."""

StepKind = Literal[
    "received",
    "queued",
    "claimed",
    "model",
    "handoff",
    "tool",
    "message",
    "delivery",
    "decision",
    "ended",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened.

    `title` is a line for people, `text` what was said, `facts` everything else there is to know.
    `id` is the message or delivery it is about. `is_bad`: somebody should look at it.
    """

    kind: StepKind
    title: str
    at: datetime | None = None
    id: str | None = None
    text: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class TurnStory:
    """A turn and its steps, in the order they happened."""

    turn: Turn
    steps: tuple[Step, ...]


def tell(trace: TurnTrace, decisions: Sequence[Decision] = ()) -> TurnStory:
    """The story of one turn, and what operators have decided about its deliveries."""
    turn = trace.turn
    steps = [*_arrival(turn), *_claim(turn), *_work(turn, trace.tools), *_end(turn)]
    for delivery in trace.deliveries:
        steps += [_decision(each) for each in decisions if each.target == delivery.id]
        steps.append(_delivery(delivery))
    return TurnStory(turn, tuple(steps))


def _arrival(turn: Turn) -> Iterator[Step]:
    over = f" over {turn.channel}" if turn.channel else ""
    said = [message for message in turn.messages if message.role == "user"]
    for message in said:
        yield Step(
            kind="received",
            at=message.created_at,
            title=f"received{over}",
            id=message.id,
            text=message.text,
            facts={"participant": turn.participant_id, "message_ref": message.message_ref},
        )
    if not said:
        yield Step(kind="received", at=turn.created_at, title=f"made as a {turn.kind}{over}")


def _claim(turn: Turn) -> Iterator[Step]:
    if turn.started_at is None:
        title, is_bad = _not_begun(turn)
        yield Step(kind="queued", at=turn.created_at, title=title, is_bad=is_bad)
        return
    waited_ms = round((turn.started_at - turn.created_at).total_seconds() * 1000)
    attempts = "once" if turn.attempts <= 1 else f"{turn.attempts} times"
    crashes = f", its process ended {turn.crash_count} times" if turn.crash_count > 1 else ""
    yield Step(
        kind="claimed",
        at=turn.started_at,
        title=f"claimed by a worker {attempts}{crashes}",
        facts={
            "attempts": turn.attempts,
            "crash_count": turn.crash_count,
            "waited_ms": waited_ms,
            "bot_version": turn.bot_version,
        },
        is_bad=turn.crash_count > 1,
    )


def _not_begun(turn: Turn) -> tuple[str, bool]:
    """Why no worker has begun a turn, and whether somebody should look at it."""
    if turn.state == "queued":
        return "waits for a worker", False
    if turn.error is not None and turn.error.code in _KEPT_ONLY:
        return "kept, and not worked on", False
    if turn.kind == "command":
        return "done at once, without a worker", False
    return "never began", True


def _work(turn: Turn, tools: Sequence[StoredToolResult]) -> Iterator[Step]:
    """Model calls, tool calls, hand-offs and messages, as the transcript has them.

    Calls that are in no transcript belong to an attempt that broke off, or to one still at work.
    """
    answers = {message.tool_call_id: message for message in turn.messages}
    kept = {result.call.id: result for result in tools}
    for message in turn.messages:
        if message.role not in {"assistant", "operator", "system"}:
            continue
        if message.model is not None:
            yield _model(message)
        if message.text:
            yield _message(message)
        for call in message.tool_calls:
            if call.name.startswith(HANDOFF_PREFIX):
                yield _handoff(message, call, answers.get(call.id))
            else:
                yield _tool(message, call, answers.get(call.id), kept.pop(call.id, None))
    for result in kept.values():
        yield _lost_call(result)


def _model(message: Message) -> Step:
    usage = message.usage
    tokens = f": {usage.input_tokens} tokens in, {usage.output_tokens} out" if usage else ""
    return Step(
        kind="model",
        at=message.created_at,
        title=f"{message.agent or 'an agent'} asked the model {message.model or '?'}{tokens}",
        facts={
            "agent": message.agent,
            "model": message.model,
            "input_tokens": usage.input_tokens if usage else None,
            "output_tokens": usage.output_tokens if usage else None,
        },
    )


def _message(message: Message) -> Step:
    speaker = message.agent or message.role
    is_draft = message.visibility == "internal"
    delivery = message.delivery
    facts: dict[str, object] = {"agent": message.agent, "visibility": message.visibility}
    if message.is_incomplete:
        facts["incomplete"] = True
    if delivery is not None:
        facts["delivery"] = delivery.status
    return Step(
        kind="message",
        at=message.created_at,
        title=f"{speaker} noted (internal)" if is_draft else f"{speaker} said",
        id=message.id,
        text=message.text,
        facts=facts,
    )


def _handoff(message: Message, call: ToolCall, answer: Message | None) -> Step:
    """A hand-off; its stored result names the agent, or says why it was not followed."""
    target = _json_field(answer.text, "assistant") if answer else None
    giver = message.agent or "an agent"
    wished = call.name.removeprefix(HANDOFF_PREFIX)
    title = f"{giver} handed over to {target}" if target else f"{giver} wished to hand to {wished}"
    return Step(
        kind="handoff",
        at=message.created_at,
        title=title,
        text=None if target or answer is None else answer.text,
        facts={"from": message.agent, "to": target or wished},
    )


def _tool(
    message: Message, call: ToolCall, answer: Message | None, kept: StoredToolResult | None
) -> Step:
    is_ok = kept.is_ok if kept is not None and kept.result is not None else None
    if answer is None:
        title = f"{call.name} waits for its result"
    else:
        title = f"{message.agent or 'an agent'} called {call.name}" + (
            ", which failed" if is_ok is False else ""
        )
    return Step(
        kind="tool",
        at=message.created_at,
        title=title,
        id=call.id,
        facts={
            "agent": message.agent,
            "arguments": call.arguments,
            "result": answer.text if answer else None,
            "ok": is_ok,
        },
        is_bad=is_ok is False,
    )


def _lost_call(result: StoredToolResult) -> Step:
    call = result.call
    ending = "and never ended" if result.result is None else "in an attempt that broke off"
    return Step(
        kind="tool",
        title=f"{call.name} was called {ending}",
        id=call.id,
        facts={"arguments": call.arguments, "result": result.result, "ok": result.is_ok},
        is_bad=True,
    )


def _end(turn: Turn) -> Iterator[Step]:
    if not turn.is_over:
        return
    facts: dict[str, object] = {
        "state": turn.state,
        "final_agent": turn.final_agent,
        "input_tokens": turn.usage.input_tokens,
        "output_tokens": turn.usage.output_tokens,
    }
    if turn.state == "waiting":
        names = ", ".join(call.name for call in turn.tool_calls)
        yield Step(kind="ended", title=f"waits for the caller to run {names}", facts=facts)
        return
    if turn.started_at is not None and turn.finished_at is not None:
        seconds = (turn.finished_at - turn.started_at).total_seconds()
        facts["duration_ms"] = round(seconds * 1000)
    if turn.error is not None:
        facts["error"] = turn.error.code
    yield Step(
        kind="ended",
        at=turn.finished_at,
        title=turn.state + (", incomplete" if turn.is_incomplete else ""),
        text=turn.error.message if turn.error else None,
        facts=facts,
        is_bad=turn.state in {"failed", "dead"},
    )


def _delivery(delivery: Delivery) -> Step:
    tries = "1 try" if delivery.attempts == 1 else f"{delivery.attempts} tries"
    receipt = f", {delivery.receipt}" if delivery.receipt else ""
    is_over = delivery.state in {"held", "dead", "expired"}
    return Step(
        kind="delivery",
        at=delivery.sent_started_at or delivery.created_at,
        title=f"part {delivery.part_no + 1} over {delivery.address.channel}:"
        f" {delivery.state}{receipt} after {tries}",
        id=delivery.id,
        text=delivery.error,
        facts={
            "state": delivery.state,
            "attempts": delivery.attempts,
            "chat": delivery.address.chat,
            "provider_id": delivery.provider_id,
            "next_at": delivery.next_at if delivery.state == "pending" else None,
        },
        is_bad=is_over or delivery.receipt == "failed",
    )


def _decision(decision: Decision) -> Step:
    """What an operator did with a delivery that was given up."""
    done = _DECISIONS.get(decision.action, decision.action)
    return Step(
        kind="decision",
        at=decision.at,
        title=f"an operator {done}; it was {decision.detail.get('state')}",
        id=decision.target,
        text=decision.detail.get("error"),
        facts=dict(decision.detail),
    )


def _json_field(text: str, name: str) -> str | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) else None

"""Turns that waited for their caller: which calls are open, and their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.agents.answer import tool_message
from gateway.domain.conversation import Message

DECLINED = '{"error": "declined: the caller gave no result"}'


def answers_of_caller(
    transcript: Sequence[Message], results: Mapping[str, str]
) -> list[tuple[Message, bool]]:
    """The tool messages that answer the calls a transcript ends with; True = the caller did answer.

    Empty unless the transcript ends in stored calls without a result, or results were given. A
    call without a result counts as declined.
    """
    calling, answered = _last_calls(transcript)
    if calling is None or not (results or calling.seq):
        return []
    return [
        (tool_message(call, results.get(call.id, DECLINED)), call.id in results)
        for call in calling.tool_calls
        if call.id not in answered
    ]


def calls_since_user(transcript: Sequence[Message]) -> int:
    """How many tool calls came back since the person's last message: a resumed turn goes on."""
    count = 0
    for message in reversed(transcript):
        if message.role == "user":
            break
        count += message.role == "tool"
    return count


def _last_calls(transcript: Sequence[Message]) -> tuple[Message | None, set[str]]:
    answered: set[str] = set()
    for message in reversed(transcript):
        if message.role == "tool" and message.tool_call_id:
            answered.add(message.tool_call_id)
        else:
            return (message if message.tool_calls else None), answered
    return None, answered

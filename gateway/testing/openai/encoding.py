"""Replies as bytes in the format of the OpenAI chat completions API.

Pure: a `Reply` and a `Stamp` go in, one JSON document or the events of a stream come out. Source
of the shapes: OpenAI API reference, "The chat completion object" and "The chat completion chunk
object", and what the `openai` package reads.
"""

import json
from dataclasses import dataclass

from gateway.testing.openai.replies import HttpError, Reply, ToolCall, Usage
from gateway.testing.wire import JsonObject

DONE = b"data: [DONE]\n\n"

ARGUMENT_PIECE_CHARS = 8
"""Tool arguments are streamed in pieces of so many characters."""

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one answer from another: its number, the model named in it and its time."""

    number: int
    model: str
    created: int

    @property
    def id(self) -> str:
        """The completion's id."""
        return f"chatcmpl-{self.number}"

    def tool_call_id(self, index: int, call: ToolCall) -> str:
        """The id of a tool call, unique in the server unless the reply names one."""
        return call.id or f"call_{self.number}_{index}"


def completion(reply: Reply, stamp: Stamp) -> bytes:
    """The whole answer as one JSON document."""
    message: JsonObject = {"role": "assistant", "content": reply.whole_text, "refusal": None}
    if reply.tool_calls:
        message["content"] = reply.whole_text or None
        message["tool_calls"] = [
            _tool_call(call, stamp.tool_call_id(index, call))
            for index, call in enumerate(reply.tool_calls)
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
    return _json(_completion(stamp, [choice], reply.usage))


def completion_without_choices(stamp: Stamp) -> bytes:
    """A document whose `choices` are empty."""
    return _json(_completion(stamp, [], Usage(completion_tokens=0)))


def stream(reply: Reply, stamp: Stamp, *, with_usage: bool) -> list[bytes]:
    """The answer as server-sent events, in order, `[DONE]` last."""
    deltas: list[JsonObject] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas += [{"content": piece} for piece in reply.deltas]
    for index, call in enumerate(reply.tool_calls):
        deltas += _tool_call_deltas(index, call, stamp)
    events = [_chunk_event(stamp, [_choice(delta)], with_usage=with_usage) for delta in deltas]
    last = _choice({}, finish_reason=reply.finish)
    events.append(_chunk_event(stamp, [last], with_usage=with_usage))
    if with_usage and reply.usage is not None:
        chunk = _chunk(stamp, [])
        chunk["usage"] = _usage(reply.usage)
        events.append(event(_json(chunk)))
    return [*events, DONE]


def stream_without_choices(stamp: Stamp) -> list[bytes]:
    """A stream in which no chunk has a choice."""
    return [_chunk_event(stamp, [], with_usage=False), DONE]


def event(data: bytes) -> bytes:
    """One server-sent event."""
    return b"data: " + data + b"\n\n"


def error_document(error: HttpError) -> bytes:
    """An error in the shape of the OpenAI API."""
    kind = ERROR_TYPES.get(error.status, "server_error")
    return _json(
        {"error": {"message": error.message, "type": kind, "param": None, "code": error.code}}
    )


def model_list(names: tuple[str, ...], *, created: int) -> bytes:
    """The answer of `/v1/models`."""
    models = [
        {"id": name, "object": "model", "created": created, "owned_by": "fake"} for name in names
    ]
    return _json({"object": "list", "data": models})


def _completion(stamp: Stamp, choices: list[JsonObject], usage: Usage | None) -> JsonObject:
    document: JsonObject = {
        "id": stamp.id,
        "object": "chat.completion",
        "created": stamp.created,
        "model": stamp.model,
        "choices": choices,
        "system_fingerprint": "fp_fake",
    }
    if usage is not None:
        document["usage"] = _usage(usage)
    return document


def _chunk(stamp: Stamp, choices: list[JsonObject]) -> JsonObject:
    return {
        "id": stamp.id,
        "object": "chat.completion.chunk",
        "created": stamp.created,
        "model": stamp.model,
        "system_fingerprint": "fp_fake",
        "choices": choices,
    }


def _chunk_event(stamp: Stamp, choices: list[JsonObject], *, with_usage: bool) -> bytes:
    chunk = _chunk(stamp, choices)
    if with_usage:
        chunk["usage"] = None
    return event(_json(chunk))


def _choice(delta: JsonObject, *, finish_reason: str | None = None) -> JsonObject:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _tool_call(call: ToolCall, call_id: str) -> JsonObject:
    function = {"name": call.name, "arguments": call.arguments_json}
    return {"id": call_id, "type": "function", "function": function}


def _tool_call_deltas(index: int, call: ToolCall, stamp: Stamp) -> list[JsonObject]:
    head = _tool_call(call, stamp.tool_call_id(index, call))
    head["function"]["arguments"] = ""
    text = call.arguments_json
    pieces = [
        text[start : start + ARGUMENT_PIECE_CHARS]
        for start in range(0, len(text), ARGUMENT_PIECE_CHARS)
    ]
    return [
        {"tool_calls": [{"index": index, **head}]},
        *({"tool_calls": [{"index": index, "function": {"arguments": p}}]} for p in pieces),
    ]


def _usage(usage: Usage) -> JsonObject:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _json(document: JsonObject) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

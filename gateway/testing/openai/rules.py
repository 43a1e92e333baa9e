"""What the chat completions API demands of a request, checked as strictly as the real one does.

`request_problems(body)` gives one sentence for each rule that is broken, in the order of the
document, empty for a good request. Source: OpenAI API reference, "Create chat completion", and the
error answers of the real endpoint (tool messages, names, unknown arguments).
"""

import json
import re
from collections.abc import Iterator
from typing import Final

from gateway.testing.wire import JsonObject, JsonValue

ROLES: Final = ("developer", "system", "user", "assistant", "tool", "function")

NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""Names of functions."""

MAX_TOOLS: Final = 128

KNOWN_FIELDS: Final = frozenset(
    {
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "modalities",
        "model",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    }
)

KNOWN_MESSAGE_FIELDS: Final = frozenset(
    {
        "role",
        "content",
        "name",
        "tool_calls",
        "tool_call_id",
        "refusal",
        "audio",
        "function_call",
    }
)

KNOWN_PART_TYPES: Final = ("text", "image_url", "input_audio", "file", "refusal")

NUMBER_RANGES: Final = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "n": (1, 128),
    "max_tokens": (1, 10**9),
    "max_completion_tokens": (1, 10**9),
}


def request_problems(body: JsonValue) -> tuple[str, ...]:
    """The broken rules of one request.

    >>> request_problems({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
    ()
    >>> request_problems({"model": "m", "messages": []})
    ('messages: [] is too short',)
    """
    if not isinstance(body, dict):
        return ("the body is not a JSON object",)
    return (
        *_field_problems(body),
        *_message_list_problems(body.get("messages")),
        *_tool_list_problems(body.get("tools")),
        *_tool_choice_problems(body),
        *_stream_problems(body),
        *_text_problems(body),
    )


def _field_problems(body: JsonObject) -> Iterator[str]:
    for name in sorted(set(body) - KNOWN_FIELDS):
        yield f"Unrecognized request argument supplied: {name}"
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield "model: you must provide a model parameter"
    for name, (low, high) in NUMBER_RANGES.items():
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{name}: {value!r} is not a number"
        elif not low <= value <= high:
            yield f"{name}: {value!r} is outside {low}..{high}"


def _message_list_problems(messages: JsonValue) -> Iterator[str]:
    if not isinstance(messages, list):
        yield "messages: a list is required"
        return
    if not messages:
        yield "messages: [] is too short"
    open_calls: list[str] = []
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        if not isinstance(message, dict):
            yield f"{place}: an object is required"
            continue
        if message.get("role") == "tool":
            yield from _tool_answer_problems(place, message, open_calls)
        elif open_calls:
            yield f"{place}: tool_call_ids without a response: {', '.join(open_calls)}"
            open_calls = []
        yield from _message_problems(place, message)
        open_calls += _call_ids(message)
    if open_calls:
        yield f"messages: tool_call_ids without a response: {', '.join(open_calls)}"


def _tool_answer_problems(place: str, message: JsonObject, open_calls: list[str]) -> Iterator[str]:
    """Judge a tool message and strike its call off the open ones."""
    answered = message.get("tool_call_id")
    if not isinstance(answered, str) or not answered:
        yield f"{place}: tool_call_id is required"
    elif answered in open_calls:
        open_calls.remove(answered)
    else:
        yield f"{place}: tool_call_id {answered!r} answers no preceding tool call"


def _message_problems(place: str, message: JsonObject) -> Iterator[str]:
    role = message.get("role")
    if role not in ROLES:
        yield f"{place}: {role!r} is not a role"
    for name in sorted(set(message) - KNOWN_MESSAGE_FIELDS):
        yield f"{place}: unknown field {name}"
    calls = message.get("tool_calls")
    if calls is not None:
        if role != "assistant":
            yield f"{place}: only an assistant message may carry tool_calls"
        yield from _call_problems(place, calls)
    may_be_empty = role == "assistant" and bool(calls or message.get("refusal"))
    yield from _content_problems(place, message.get("content"), may_be_null=may_be_empty)
    author = message.get("name")
    if author is not None and re.search(r"[\s<|\\/>]", str(author)):
        yield f"{place}: name {author!r} has a character that is not allowed"


def _content_problems(place: str, content: JsonValue, *, may_be_null: bool) -> Iterator[str]:
    if isinstance(content, str) or (content is None and may_be_null):
        return
    if not isinstance(content, list) or not content:
        yield f"{place}: content is {content!r}, a string or a list of parts is required"
        return
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in KNOWN_PART_TYPES:
            yield f"{place}.content[{number}]: {kind!r} is not a type of content"
        elif kind not in part:
            yield f"{place}.content[{number}]: {kind} is missing"


def _call_problems(place: str, calls: JsonValue) -> Iterator[str]:
    if not isinstance(calls, list) or not calls:
        yield f"{place}: tool_calls must be a list with an entry"
        return
    ids = [call.get("id") for call in calls if isinstance(call, dict)]
    if len(set(map(str, ids))) != len(calls):
        yield f"{place}: the ids of tool_calls are not unique"
    for number, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or call.get("type") != "function":
            yield f"{place}.tool_calls[{number}]: type and function are required"
            continue
        if not isinstance(call.get("id"), str) or not call["id"]:
            yield f"{place}.tool_calls[{number}]: id is required"
        yield from _name_problems(f"{place}.tool_calls[{number}]", function.get("name"))
        if not isinstance(function.get("arguments"), str):
            yield f"{place}.tool_calls[{number}]: arguments must be a string"


def _call_ids(message: JsonObject) -> list[str]:
    calls = message.get("tool_calls")
    if message.get("role") != "assistant" or not isinstance(calls, list):
        return []
    return [str(call.get("id")) for call in calls if isinstance(call, dict)]


def _tool_list_problems(tools: JsonValue) -> Iterator[str]:
    if tools is None:
        return
    if not isinstance(tools, list) or not 1 <= len(tools) <= MAX_TOOLS:
        yield f"tools: a list of 1..{MAX_TOOLS} entries is required"
        return
    names = _tool_names(tools)
    if len(set(names)) != len(names):
        yield "tools: the names are not unique"
    for number, tool in enumerate(tools):
        place = f"tools[{number}]"
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or tool.get("type") != "function":
            yield f"{place}: type and function are required"
            continue
        for name in sorted(set(function) - {"name", "description", "parameters", "strict"}):
            yield f"{place}: unknown field {name}"
        yield from _name_problems(place, function.get("name"))
        yield from _parameters_problems(place, function.get("parameters"))


def _parameters_problems(place: str, parameters: JsonValue) -> Iterator[str]:
    if parameters is None:
        return
    if not isinstance(parameters, dict):
        yield f"{place}: parameters must be a JSON Schema object"
        return
    if parameters and parameters.get("type") != "object":
        yield f'{place}: parameters must be a JSON Schema of "type": "object"'
    properties = parameters.get("properties", {})
    if not isinstance(properties, dict):
        yield f"{place}: properties must be an object"
        return
    for name in parameters.get("required", []):
        if name not in properties:
            yield f"{place}: required names {name!r}, which is no property"


def _name_problems(place: str, name: JsonValue) -> Iterator[str]:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        yield f"{place}: the function name {name!r} does not match {NAME.pattern}"


def _tool_names(tools: list[JsonValue]) -> list[str]:
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)]
    return [str(f.get("name")) for f in functions if isinstance(f, dict)]


def _tool_choice_problems(body: JsonObject) -> Iterator[str]:
    choice = body.get("tool_choice")
    tools = body.get("tools")
    names = _tool_names(tools) if isinstance(tools, list) else []
    if choice is not None and not names:
        yield "tool_choice: only allowed when tools are given"
    elif isinstance(choice, dict):
        function = choice.get("function")
        if not isinstance(function, dict) or function.get("name") not in names:
            yield "tool_choice: names no tool of this request"
    elif choice not in (None, "none", "auto", "required"):
        yield f"tool_choice: {choice!r} is not allowed"
    if body.get("parallel_tool_calls") is not None and not names:
        yield "parallel_tool_calls: only allowed when tools are given"


def _stream_problems(body: JsonObject) -> Iterator[str]:
    if not isinstance(body.get("stream", False), bool | None):
        yield "stream: must be true or false"
    options = body.get("stream_options")
    if options is None:
        return
    if not body.get("stream"):
        yield "stream_options: only allowed when stream is true"
    if not isinstance(options, dict) or not isinstance(options.get("include_usage", False), bool):
        yield "stream_options: must be an object with include_usage true or false"


def _text_problems(body: JsonObject) -> Iterator[str]:
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        yield "the body holds half of a surrogate pair, which is not valid Unicode"

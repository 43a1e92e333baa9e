"""The rules of the chat completions API, one broken at a time."""

import pytest

from gateway.testing.openai.rules import request_problems

USER = {"role": "user", "content": "hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
ASKS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
ASKS_TWICE = {**ASKS, "tool_calls": [CALL, {**CALL, "id": "c2"}]}
ANSWERS = {"role": "tool", "tool_call_id": "c1", "content": "noon"}
FUNCTION = {
    "name": "clock",
    "description": "The time.",
    "parameters": {
        "type": "object",
        "properties": {"zone": {"type": "string"}},
        "required": ["zone"],
    },
}
TOOL = {"type": "function", "function": FUNCTION}


def body(*messages, **fields):
    return {"model": "m", "messages": list(messages) or [USER], **fields}


def tool(**function):
    return {"type": "function", "function": {**FUNCTION, **function}}


@pytest.mark.parametrize(
    "good",
    [
        body({"role": "system", "content": "You help."}, USER),
        body(USER, ASKS, ANSWERS, USER),
        body(USER, ASKS_TWICE, {**ANSWERS, "tool_call_id": "c2"}, ANSWERS),
        body(tools=[TOOL], tool_choice="auto", parallel_tool_calls=False),
        body(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "clock"}}),
        body(tools=[{"type": "function", "function": {"name": "noop"}}]),
        body({"role": "user", "content": [{"type": "text", "text": "hi"}]}),
        body(stream=True, stream_options={"include_usage": True}),
        body(temperature=0.5, max_completion_tokens=100, user="u1"),
    ],
)
def test_good_requests_have_no_problems(good):
    assert request_problems(good) == ()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ([], "not a JSON object"),
        ({"messages": [USER]}, "must provide a model"),
        ({"model": "m"}, "a list is required"),
        (body() | {"messages": []}, "too short"),
        (body("hello"), "an object is required"),
        (body({"role": "robot", "content": "x"}), "'robot' is not a role"),
        (body({"role": "user", "content": None}), "content is None"),
        (body({"role": "assistant", "content": None}), "content is None"),
        (body({"role": "user", "content": []}), "content is []"),
        (body({"role": "user", "content": [{"type": "smell"}]}), "'smell' is not a type"),
        (body({"role": "user", "content": [{"type": "text"}]}), "text is missing"),
        (body({**USER, "id": "msg_1"}), "unknown field id"),
        (body({**USER, "name": "Ada Lovelace"}), "not allowed"),
        (body({**USER, "tool_calls": [CALL]}), "only an assistant"),
        (body(USER, ASKS), "without a response: c1"),
        (body(USER, ASKS, USER), "without a response: c1"),
        (body(USER, ANSWERS), "answers no preceding"),
        (body(USER, ASKS, ANSWERS, ANSWERS), "answers no preceding"),
        (body(USER, ASKS, {"role": "tool", "content": "x"}), "tool_call_id is required"),
        (body(USER, {**ASKS, "tool_calls": []}), "a list with an entry"),
        (body(USER, {**ASKS, "tool_calls": [CALL, CALL]}, ANSWERS, ANSWERS), "not unique"),
        (body(USER, {**ASKS, "tool_calls": [{**CALL, "type": "x"}]}, ANSWERS), "type and function"),
        (body(stream="yes"), "stream: must be"),
        (body(stream_options={"include_usage": True}), "only allowed when stream"),
        (body(stream=True, stream_options={"include_usage": "yes"}), "must be an object"),
        (body(temperature=3), "outside 0..2"),
        (body(max_tokens=True), "not a number"),
        (body(session_id="s"), "Unrecognized request argument supplied: session_id"),
        (body(tools=[]), "a list of 1..128"),
        (body(tools=[{"name": "clock"}]), "type and function are required"),
        (body(tools=[TOOL, TOOL]), "names are not unique"),
        (body(tools=[tool(name="get time")]), "does not match"),
        (body(tools=[tool(access="read")]), "unknown field access"),
        (body(tools=[tool(parameters={"type": "string"})]), 'of "type": "object"'),
        (body(tools=[tool(parameters={"type": "object", "required": ["x"]})]), "no property"),
        (body(tools=[tool(parameters="none")]), "must be a JSON Schema object"),
        (body(tools=[tool(parameters={"type": "object", "properties": []})]), "must be an object"),
        (body(USER, {**ASKS, "tool_calls": [{**CALL, "id": ""}]}, ANSWERS), "id is required"),
        (
            body(USER, {**ASKS, "tool_calls": [{**CALL, "function": {"name": "clock"}}]}, ANSWERS),
            "arguments must be a string",
        ),
        (body(tool_choice="auto"), "only allowed when tools"),
        (body(tools=[TOOL], tool_choice="maybe"), "'maybe' is not allowed"),
        (
            body(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "x"}}),
            "names no tool",
        ),
        (body(parallel_tool_calls=True), "only allowed when tools"),
        (body({"role": "user", "content": "\ud83d"}), "half of a surrogate pair"),
    ],
)
def test_each_broken_rule_is_named(bad, says):
    problems = request_problems(bad)

    assert any(says in problem for problem in problems), problems

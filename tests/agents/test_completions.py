"""Answers as bytes: streams cut anywhere, providers with habits of their own, what is no answer."""

import json
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.agents.completions import MAX_EVENT_BYTES, AnswerReader, EventLines
from gateway.domain.conversation import ToolCall
from gateway.errors import ModelError

STREAM = b': ping\nevent: x\ndata: {"a": 1}\n\ndata:{"b": 2}\r\n\r\nid: 7\ndata: [DONE]\n\n'


def chunk(**delta) -> bytes:
    return json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode()


def calls_of(*pieces) -> tuple[ToolCall, ...]:
    reader = AnswerReader()
    for piece in pieces:
        reader.chunk(chunk(tool_calls=[piece]))
    return reader.done(model="m", prompt_bytes=0).tool_calls


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_a_stream_may_be_cut_anywhere(cuts):
    places = [0, *sorted(cuts), len(STREAM)]
    lines = EventLines()

    found = [data for start, end in pairwise(places) for data in lines.feed(STREAM[start:end])]

    assert found == [b'{"a": 1}', b'{"b": 2}', b"[DONE]"]


def test_a_last_line_needs_no_line_end():
    lines = EventLines()

    assert list(lines.feed(b"data: 1")) == []
    assert list(lines.close()) == [b"1"]


def test_a_line_without_an_end_is_bounded():
    lines = EventLines()
    for _ in range(MAX_EVENT_BYTES // 65_536):
        list(lines.feed(b"x" * 65_536))

    with pytest.raises(ModelError, match="too large"):
        list(lines.feed(b"x"))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[]",
        b"5",
        b'"text"',
        b'{"choices": 5}',
        b'{"choices": [5]}',
        b'{"choices": {}, "usage": 7}',
        b'{"choices": [{"delta": {"content": 5}}]}',
        b'{"choices": [{"delta": {"content": [5]}}]}',
        b'{"choices": [{"delta": {"tool_calls": 5}}]}',
        b'{"choices": [{"delta": {"tool_calls": [5]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": [], "function": {"name": "f"}}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": 5, "name": 1}}]}}]}',
        b'{"usage": {"prompt_tokens": "many"}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_an_error_worth_a_retry(document):
    with pytest.raises(ModelError) as caught:
        AnswerReader().chunk(document)

    assert caught.value.transient


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_model_error(data):
    with suppress(ModelError):
        AnswerReader().chunk(data)


@pytest.mark.parametrize(
    "document", [b'{"choices": []}', b'{"choices": [], "usage": null}', b'{"choices": null}']
)
def test_a_chunk_without_choices_has_no_text(document):
    assert AnswerReader().chunk(document) == ""


def test_a_document_without_an_answer_is_an_error():
    with pytest.raises(ModelError):
        AnswerReader().document(b'{"choices": []}')


def test_text_may_come_in_parts():
    parts = [{"type": "text", "text": "Yes"}, {"type": "reference"}, {"type": "text", "text": "."}]

    assert AnswerReader().chunk(chunk(content=parts)) == "Yes."


def test_a_nul_stands_in_no_answer():
    reader = AnswerReader()

    text = reader.chunk(chunk(content="a\0b"))
    (call,) = calls_of({"id": "c\0", "function": {"name": "f\0", "arguments": "{\0}"}})

    assert text == "a\ufffdb"
    assert call == ToolCall("c\ufffd", "f\ufffd", "{\ufffd}")


def test_a_refusal_is_text():
    assert AnswerReader().chunk(chunk(content=None, refusal="I cannot.")) == "I cannot."


def test_arguments_come_in_pieces():
    found = calls_of(
        {"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a"'}},
        {"index": 1, "id": "c2", "function": {"name": "g", "arguments": "{}"}},
        {"index": 0, "function": {"arguments": ": 1}"}},
    )

    assert found == (ToolCall("c1", "f", '{"a": 1}'), ToolCall("c2", "g", "{}"))


def test_calls_without_an_index_are_told_apart_by_their_ids():
    found = calls_of(
        {"id": "c1", "function": {"name": "f", "arguments": "{}"}},
        {"id": "c2", "function": {"name": "g", "arguments": "{"}},
        {"function": {"arguments": "}"}},
    )

    assert found == (ToolCall("c1", "f", "{}"), ToolCall("c2", "g", "{}"))


def test_calls_that_share_an_index_are_told_apart_by_their_ids():
    found = calls_of(
        {"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{}"}},
        {"index": 0, "id": "c2", "function": {"name": "g", "arguments": "{}"}},
    )

    assert [call.name for call in found] == ["f", "g"]


def test_pieces_that_follow_belong_to_the_call_before():
    found = calls_of(
        {"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{}"}},
        {"index": 0, "id": "c2", "function": {"name": "g", "arguments": "{"}},
        {"index": 0, "function": {"arguments": "}"}},
    )

    assert [call.arguments for call in found] == ["{}", "{}"]


def test_arguments_may_be_an_object():
    found = calls_of({"index": 0, "id": "c1", "function": {"name": "f", "arguments": {"a": 1}}})

    assert found[0].arguments == '{"a": 1}'


def test_a_call_without_an_id_is_given_one():
    found = calls_of({"index": 0, "id": "", "function": {"name": "f", "arguments": "{}"}})

    assert found[0].id.startswith("call_")


def test_an_error_that_is_only_a_word_is_worth_a_retry():
    with pytest.raises(ModelError) as caught:
        AnswerReader().chunk(b'{"error": "overloaded: sk-123"}')

    assert caught.value.transient
    assert "sk-123" not in caught.value.message

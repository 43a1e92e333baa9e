"""Reading JSON bodies: what means the same to everybody is read, all else is refused."""

import json
import tracemalloc
from time import perf_counter
from typing import Annotated, Self

import pytest
from pydantic import AfterValidator, BaseModel, Field, model_validator

from gateway.api.http.bodies import MAX_DEPTH, parse_object, validate
from gateway.errors import BadRequest, Unprocessable

NESTED = "[" * 31 + "]" * 31


def _not_root(name: str) -> str:
    if name == "root":
        raise ValueError("this name is taken")
    return name


class Doc(BaseModel):
    name: Annotated[str, AfterValidator(_not_root)]
    parts: list[int] = []
    pairs: dict[str, Annotated[str, Field(max_length=3)] | int] = {}

    @model_validator(mode="after")
    def _has_no_pair(self) -> Self:
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("a part stands twice")
        return self


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"a": 1} x',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": 1, "a": 2}',
        b'{"o": {"a": 1, "a": 1}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 9223372036854775808}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"a": "\x00"}',
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"a": "\\ude00\\ud83d"}',
        b'{"a": ' + b"[" * 32 + b"]" * 32 + b"}",
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b"[" * 1_000_000,
    ],
)
def test_a_body_that_readers_could_disagree_about_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_object(raw)

    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize(
    ("raw", "document"),
    [
        (b"{}", {}),
        (b' {"a": [1, -2.5, true, null]} ', {"a": [1, -2.5, True, None]}),
        ('{"a": "\\u00e9 é \\ud83d\\ude00"}'.encode(), {"a": "é é 😀"}),
        (b'{"a": "\\\\u0000 \\\\ud800"}', {"a": "\\u0000 \\ud800"}),
        (b'{"a": 9223372036854775807}', {"a": 2**63 - 1}),
        (('{"a": ' + NESTED + "}").encode(), {"a": json.loads(NESTED)}),
        (b'{"a": "' + b"[{" * 100 + b'"}', {"a": "[{" * 100}),
    ],
)
def test_a_plain_object_is_read_as_it_is(raw: bytes, document: object) -> None:
    assert parse_object(raw) == document


def test_deep_nesting_is_refused_before_it_is_built() -> None:
    raw = b'{"a":' * 100_000
    tracemalloc.start()
    started = perf_counter()

    with pytest.raises(BadRequest, match=str(MAX_DEPTH)):
        parse_object(raw)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert perf_counter() - started < 0.5
    assert peak < 20 * 1024 * 1024


@pytest.mark.parametrize("tail", [b"", b"\\"], ids=["open string", "open escape"])
def test_a_string_that_never_ends_is_refused_as_fast_as_it_is_read(tail: bytes) -> None:
    raw = b'{"input":[' + b"[]," * MAX_DEPTH + b'"' + b'\\"' * 500_000 + tail
    began = perf_counter()
    with pytest.raises(BadRequest):
        parse_object(raw)
    assert perf_counter() - began < 2


def test_every_wrong_place_is_named_by_its_pointer() -> None:
    with pytest.raises(Unprocessable) as caught:
        validate(Doc, {"parts": [1, "two"]})

    found = {(field.pointer, field.code) for field in caught.value.fields}
    assert found == {("/name", "required"), ("/parts/1", "int_parsing")}


def test_branches_of_a_union_are_no_part_of_a_pointer() -> None:
    with pytest.raises(Unprocessable) as caught:
        validate(Doc, {"name": "a", "pairs": {"x/y": [], "z": "long"}})

    assert [field.pointer for field in caught.value.fields] == ["/pairs/x~1y", "/pairs/z"]


def test_a_rule_about_the_whole_document_points_to_all_of_it() -> None:
    with pytest.raises(Unprocessable) as caught:
        validate(Doc, {"name": "a", "parts": [1, 1]})

    assert [field.pointer for field in caught.value.fields] == [""]


def test_a_rule_of_ours_is_told_in_its_own_words() -> None:
    with pytest.raises(Unprocessable) as caught:
        validate(Doc, {"name": "root"})

    assert [field.detail for field in caught.value.fields] == ["this name is taken"]


def test_the_value_that_was_wrong_is_not_repeated() -> None:
    with pytest.raises(Unprocessable) as caught:
        validate(Doc, {"name": "a", "parts": ["hunter2"]})

    assert "hunter2" not in repr([(f.pointer, f.code, f.detail) for f in caught.value.fields])

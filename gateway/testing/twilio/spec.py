"""Judges calls and answers by Twilio's own OpenAPI description.

Takes the file `twilio_api_v2010.json` of github.com/twilio/twilio-oai. Gives sentences about what
does not fit: unknown fields, missing ones, wrong types, SIDs of another pattern, unknown statuses.
It knows as much of JSON Schema as that file uses. Limits that stand only in prose (lengths, fields
that exclude each other) are in `rules.py`.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, Self

from gateway.testing.wire import JsonObject, JsonValue

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: fields of its path, of its query or form, and its good answers by status."""

    path_fields: Mapping[str, JsonObject]
    fields: Mapping[str, JsonObject]
    required: frozenset[str]
    answers: Mapping[int, JsonObject]


@dataclass(frozen=True, slots=True)
class TwilioSpec:
    """The description, by operation."""

    operations: Mapping[str, Operation]
    schemas: Mapping[str, JsonObject]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file; OSError or ValueError when it is not there or no description."""
        document = json.loads(path.read_bytes())
        if not isinstance(document, dict) or not {"paths", "components"} <= document.keys():
            raise ValueError(f"{path} is no OpenAPI description")
        operations = {
            operation["operationId"]: _operation(operation)
            for entry in document["paths"].values()
            for operation in entry.values()
            if isinstance(operation, dict) and "operationId" in operation
        }
        return cls(operations, document["components"]["schemas"])

    def call_problems(
        self,
        operation: str,
        fields: Mapping[str, tuple[str, ...]],
        *,
        path_fields: Mapping[str, str],
    ) -> list[str]:
        """What does not fit in the fields of one call."""
        known = self.operations[operation]
        problems = [f"{name} is missing" for name in sorted(known.required - fields.keys())]
        for name, text in path_fields.items():
            problems += self._value_problems(name, known.path_fields[name], text)
        for name, values in fields.items():
            if name not in known.fields:
                problems.append(f"there is no field {name}")
            else:
                problems += self._field_problems(name, known.fields[name], values)
        return problems

    def answer_problems(self, operation: str, status: int, document: JsonValue) -> list[str]:
        """What does not fit in a good answer."""
        answers = self.operations[operation].answers
        if status not in answers:
            return [f"{operation} does not answer {status}"]
        return list(self._value_problems(operation, answers[status], document))

    def _field_problems(
        self, name: str, schema: JsonObject, values: tuple[str, ...]
    ) -> Iterator[str]:
        """A form holds text only: each value is read as the type it should have."""
        resolved = self._resolved(schema)
        if resolved.get("type") == "array":
            for value in values:
                yield from self._value_problems(name, resolved["items"], value)
            return
        if len(values) > 1:
            yield f"{name} was given {len(values)} times"
        kind = resolved.get("type")
        for value in values:
            typed = _typed(value, kind) if isinstance(kind, str) else value
            yield from self._value_problems(name, resolved, typed)

    def _value_problems(self, place: str, schema: JsonObject, value: JsonValue) -> Iterator[str]:
        schema = self._resolved(schema)
        if value is None:
            if schema and not schema.get("nullable"):
                yield f"{place} is null"
            return
        kind = schema.get("type", "any")
        if not _KINDS.get(kind, _anything)(value):
            yield f"{place}: {value!r} is not of type {kind}"
        elif kind == "object":
            yield from self._object_problems(place, schema, value)
        elif kind == "array":
            for number, item in enumerate(value):
                yield from self._value_problems(f"{place}[{number}]", schema["items"], item)
        elif kind == "string":
            yield from _text_problems(place, schema, value)

    def _object_problems(self, place: str, schema: JsonObject, value: JsonObject) -> Iterator[str]:
        fields = schema.get("properties")
        if fields is None:
            return
        yield from (f"{place}: there is no field {name}" for name in value.keys() - fields.keys())
        yield from (f"{place}: {name} is missing" for name in fields.keys() - value.keys())
        for name in value.keys() & fields.keys():
            yield from self._value_problems(f"{place}.{name}", fields[name], value[name])

    def _resolved(self, schema: JsonObject) -> JsonObject:
        reference = schema.get("$ref")
        return self.schemas[reference.rsplit("/", 1)[-1]] if reference else schema


def _operation(entry: JsonObject) -> Operation:
    parameters = entry.get("parameters", ())
    body = entry.get("requestBody", {}).get("content", {}).get(FORM, {}).get("schema", {})
    query = {p["name"]: p["schema"] for p in parameters if p["in"] == "query"}
    return Operation(
        path_fields={p["name"]: p["schema"] for p in parameters if p["in"] == "path"},
        fields={**query, **body.get("properties", {})},
        required=frozenset(body.get("required", ())),
        answers={
            int(status): answer.get("content", {}).get(JSON, {}).get("schema", {})
            for status, answer in entry["responses"].items()
        },
    )


def _text_problems(place: str, schema: JsonObject, value: str) -> Iterator[str]:
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{place}: {value!r} does not match {schema['pattern']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is none of {', '.join(schema['enum'])}"
    if schema.get("format") == "date-time-rfc-2822":
        with contextlib.suppress(ValueError):
            parsedate_to_datetime(value)
            return
        yield f"{place}: {value!r} is no date"


def _typed(text: str, kind: str) -> JsonValue:
    """The text of a form field as a value of that type; what cannot be read stays text.

    >>> _typed("5", "integer"), _typed("true", "boolean"), _typed("x", "integer")
    (5, True, 'x')
    """
    if kind == "boolean":
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind in {"integer", "number"}:
        with contextlib.suppress(ValueError):
            return int(text) if kind == "integer" else float(text)
    return text


def _anything(_: JsonValue) -> bool:
    return True


def _is_integer(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_KINDS: Final[dict[str, Callable[[JsonValue], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "number": lambda value: _is_integer(value) or isinstance(value, float),
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}

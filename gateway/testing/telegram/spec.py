"""Judges calls and documents of the Telegram Bot API by a machine-readable specification.

Takes the JSON file of github.com/PaulSonOfLars/telegram-bot-api-spec (all methods and types with
their fields). Gives sentences about what does not fit: unknown method, unknown field, missing
field, wrong JSON type, nested types included. It knows no limits (lengths, ranges): those are in
`telegram_rules.py`. The Bot API grows faster than any copy of it, so newer names can be allowed.
"""

import contextlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from gateway.testing.wire import JsonObject, JsonValue

ARRAY: Final = "Array of "
NEWER: Final[dict[str, Collection[str]]] = {
    "sendMessageDraft": ("can_stop", "keep_on_stop"),
    "sendRichMessageDraft": ("can_stop", "keep_on_stop"),
}
"""What bots may send since Bot API 10.3 (August 2026); the file may be of an older one."""

TRUE_WORDS: Final = frozenset({"true", "yes", "1"})


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came as a part of a multipart form."""

    file_name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a method or a type."""

    types: tuple[str, ...]
    required: bool


@dataclass(frozen=True, slots=True)
class Spec:
    """The specification; `newer` adds field names by method or type, and methods by their name."""

    methods: Mapping[str, Mapping[str, Field]]
    types: Mapping[str, Mapping[str, Field]]
    unions: Mapping[str, tuple[str, ...]]
    newer: Mapping[str, Collection[str]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, *, newer: Mapping[str, Collection[str]] | None = None) -> Self:
        """Read the file; OSError or ValueError when it is not there or not a specification."""
        document = json.loads(path.read_bytes())
        if not isinstance(document, dict) or not {"methods", "types"} <= document.keys():
            raise ValueError(f"{path} is no Telegram Bot API specification")
        types = document["types"]
        return cls(
            methods={name: _fields(entry) for name, entry in document["methods"].items()},
            types={name: _fields(t) for name, t in types.items() if "subtypes" not in t},
            unions={n: tuple(t["subtypes"]) for n, t in types.items() if "subtypes" in t},
            newer=NEWER | dict(newer or {}),
        )

    def knows_method(self, name: str) -> bool:
        """The method exists, here or among the newer ones."""
        return name in self.methods or name in self.newer

    def call_problems(self, method: str, params: JsonObject) -> list[str]:
        """What does not fit in the parameters of one call, empty when all do."""
        if method not in self.methods:
            return [] if method in self.newer else [f"there is no method {method}"]
        return list(self._object_problems(method, self.methods[method], params))

    def problems(self, type_name: str, value: JsonValue) -> list[str]:
        """What does not fit when `value` should be of that type ("Update", "Array of Message")."""
        return list(self._value_problems(type_name, (type_name,), value))

    def typed(self, method: str, params: Mapping[str, JsonValue]) -> JsonObject:
        """Form and query parameters, all of them text, as the JSON values they stand for."""
        fields = self.methods.get(method, {})
        return {
            name: typed_text(value, fields[name].types if name in fields else ())
            for name, value in params.items()
        }

    def _object_problems(
        self, place: str, fields: Mapping[str, Field], value: JsonObject
    ) -> Iterator[str]:
        type_name = place.rsplit(":", 1)[-1]
        allowed = fields.keys() | set(self.newer.get(type_name, ()))
        for name in sorted(value.keys() - allowed):
            yield f"{place}: there is no field {name}"
        for name, description in fields.items():
            if value.get(name) is not None:
                yield from self._value_problems(f"{place}.{name}", description.types, value[name])
            elif description.required:
                yield f"{place}: {name} is missing"

    def _value_problems(
        self, place: str, types: tuple[str, ...], value: JsonValue
    ) -> Iterator[str]:
        """Problems under the alternative that fits best."""
        choices = [list(self._type_problems(place, name, value)) for name in types]
        yield from min(choices, key=len, default=[])

    def _type_problems(self, place: str, type_name: str, value: JsonValue) -> Iterator[str]:
        if type_name in _SCALARS:
            if not _SCALARS[type_name](value):
                yield f"{place}: {_shown(value)} is not of type {type_name}"
        elif type_name.startswith(ARRAY):
            if not isinstance(value, list):
                yield f"{place}: {_shown(value)} is not an array"
                return
            for number, entry in enumerate(value):
                inner = (type_name.removeprefix(ARRAY),)
                yield from self._value_problems(f"{place}[{number}]", inner, entry)
        elif type_name in self.unions:
            yield from self._value_problems(place, self.unions[type_name], value)
        elif not isinstance(value, dict):
            yield f"{place}: {_shown(value)} is not an object of type {type_name}"
        else:
            fields = self.types.get(type_name, {})
            yield from self._object_problems(f"{place}:{type_name}", fields, value)


def typed_text(value: JsonValue, types: Collection[str]) -> JsonValue:
    """One form value as the JSON value it stands for; text that fits nothing stays text.

    >>> typed_text("5", ("Integer", "String")), typed_text("5", ("String",))
    (5, '5')
    >>> typed_text('["message"]', ("Array of String",)), typed_text("True", ("Boolean",))
    (['message'], True)
    """
    if not isinstance(value, str) or not types:
        return value
    if "Boolean" in types:
        return value.lower() in TRUE_WORDS
    if "Integer" in types or "Float" in types:
        with contextlib.suppress(ValueError):
            return float(value) if "Float" in types else int(value)
    if "String" not in types and "InputFile" not in types:
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value


def _fields(entry: JsonObject) -> dict[str, Field]:
    return {
        item["name"]: Field(tuple(item["types"]), item["required"])
        for item in entry.get("fields", ())
    }


def _is_integer(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_SCALARS: Final[dict[str, Callable[[JsonValue], bool]]] = {
    "Integer": _is_integer,
    "Float": _is_number,
    "Boolean": lambda value: isinstance(value, bool),
    "String": lambda value: isinstance(value, str),
    "InputFile": lambda value: isinstance(value, Upload),
}


def _shown(value: JsonValue) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

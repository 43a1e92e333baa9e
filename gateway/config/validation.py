"""A table against its settings model: the model, or problems in words a person can act on.

Tables are checked as JSON documents, so that arrays may fill tuples while `"8"` is still no number.
"""

from __future__ import annotations

import datetime as dt
import json
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from gateway.config.lines import KeyPath
from gateway.config.problems import Report, is_typo, nearest_key

Model = TypeVar("Model", bound=BaseModel)

_SENTENCES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "int_type": "must be a whole number",
    "less_than_equal": "must be at most {le:g}",
    "list_type": "must be an array",
    "missing": "is missing and has no default",
    "model_type": "must be a table",
    "string_pattern_mismatch": "must have the form {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "string_type": 'must be text in quotes, or "env:NAME", "file:PATH", "cred:NAME"',
    "too_short": "needs at least {min_length}",
    "tuple_type": "must be an array",
    "uuid_parsing": "must be a UUID",
    "uuid_type": "must be a UUID",
}
"""Our words for pydantic's error types; what is not here keeps pydantic's sentence."""


def validate(
    model: type[Model],
    table: Mapping[str, object],
    *,
    at: KeyPath,
    report: Report,
    more_keys: Collection[str] = (),
) -> Model | None:
    """The table as its model; None, and problems in the report, when it does not fit.

    `at` is where the table stands in the file, `more_keys` what it may hold beside the model's.
    """
    try:
        return model.model_validate_json(_as_json(table))
    except ValidationError as error:
        for detail in _deepest(error):
            report.add((*at, *detail["loc"]), _sentence(detail, model, more_keys))
        return None


def wrong_paths(model: type[BaseModel], table: Mapping[str, object]) -> tuple[KeyPath, ...]:
    """Where the table does not fit its model; of array elements, the array."""
    try:
        model.model_validate_json(_as_json(table))
    except ValidationError as error:
        return tuple(_to_last_key(detail["loc"]) for detail in _deepest(error))
    return ()


def without(table: Mapping[str, object], path: KeyPath) -> dict[str, object]:
    """The table less the value at that path, if it has one."""
    return {
        key: _less(value, path[1:]) if path and key == path[0] else value
        for key, value in table.items()
        if path != (key,)
    }


def secrets(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The paths of all secrets inside a model that was read."""
    if isinstance(value, SecretStr):
        yield path
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from secrets(inner, (*path, str(key)))
    elif isinstance(value, tuple | list):
        for index, inner in enumerate(value):
            yield from secrets(inner, (*path, index))


def _deepest(error: ValidationError) -> list[ErrorDetails]:
    """The errors without those that only follow from one further in, as a short array does."""
    details = error.errors(include_url=False, include_input=False)
    outer = {detail["loc"][:length] for detail in details for length in range(len(detail["loc"]))}
    return [detail for detail in details if detail["loc"] not in outer]


def _as_json(table: Mapping[str, object]) -> str:
    return json.dumps(table, default=_misfit)


def _misfit(value: object) -> object:
    """What no setting takes, for a date or a time: JSON has none, and no setting is one."""
    if isinstance(value, dt.date | dt.time):
        return [[]]
    raise TypeError(type(value).__name__)


def _to_last_key(path: KeyPath) -> KeyPath:
    while path and isinstance(path[-1], int):
        path = path[:-1]
    return path


def _less(value: object, path: KeyPath) -> object:
    if isinstance(value, dict):
        return without(value, path)
    if isinstance(value, list) and len(path) > 1:
        return [_less(v, path[1:]) if i == path[0] else v for i, v in enumerate(value)]
    return value


def _sentence(detail: ErrorDetails, model: type[BaseModel], more_keys: Collection[str]) -> str:
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "extra_forbidden":
        table = _table_at(model, detail["loc"][:-1])
        known = {*_keys(table), *more_keys}
        return _unknown_key(str(detail["loc"][-1]), known, root=model)
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return _not_one_of(str(context["expected"]))
    if kind in _SENTENCES:
        return _SENTENCES[kind].format(**context)
    return detail["msg"][:1].lower() + detail["msg"][1:]


def _not_one_of(expected: str) -> str:
    if expected == "False":
        return "is not served by this version; set it to false or leave it out"
    choice = "must be one of" if " or " in expected else "must be"
    return f"{choice} {expected}".replace("'", '"')


def _unknown_key(key: str, known: Collection[str], *, root: type[BaseModel]) -> str:
    near = nearest_key(key, known)
    home = _home_of(key, root)
    if near is not None and is_typo(key, near):
        hint = f'did you mean "{near}"?'
    elif home is not None:
        hint = f"it belongs to [{home}]"
    else:
        hint = f'the nearest valid key is "{near}"' if near else "no key is valid here"
    return f"this version knows no such key; {hint}"


def _home_of(key: str, root: type[BaseModel]) -> str | None:
    """The one top-level table that knows this key."""
    homes = [
        name
        for name, field in root.model_fields.items()
        if key in _keys(_model_in(field.annotation))
    ]
    return homes[0] if len(homes) == 1 else None


def _keys(model: type[BaseModel] | None) -> Iterator[str]:
    """The keys of a table as they stand in the file."""
    if model is not None:
        yield from (field.alias or name for name, field in model.model_fields.items())


def _table_at(model: type[BaseModel], path: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model of the table at that path below `model`."""
    annotation: object = model
    for part in path:
        annotation = _step(annotation, part)
    return _model_in(annotation)


def _step(annotation: object, part: str | int) -> object:
    """The annotation one key or index further in."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field else None
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is dict:
        return arguments[1]
    return _model_in(annotation) if not isinstance(part, int) else arguments[0]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The one model an annotation is made of, if it is."""
    if typing.get_origin(annotation) is None and isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    found = (_model_in(argument) for argument in typing.get_args(annotation))
    return next((model for model in found if model is not None), None)

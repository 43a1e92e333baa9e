"""Keys and the fields they are stored as, both ways. Knows no database driver."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from gateway.domain.access import ApiKey, KeyLimits
from gateway.store.rows import from_json, from_time, to_json_always, to_time_or_none

_KEY_TIMES = frozenset({"created_at", "expires_at", "revoked_at", "last_used_at", "previous_until"})
_KEY_SETS = frozenset({"scopes", "bots"})


def to_key(fields_text: str) -> ApiKey:
    """The stored fields of a key as a key; what another version stored beside them is left out."""
    stored: dict[str, Any] = from_json(fields_text)
    values = {field.name: stored[field.name] for field in fields(ApiKey) if field.name in stored}
    limits = {field.name: values["limits"].get(field.name) for field in fields(KeyLimits)}
    for name in _KEY_TIMES:
        values[name] = to_time_or_none(values.get(name))
    for name in _KEY_SETS:
        values[name] = frozenset(values[name])
    values["origins"] = tuple(values["origins"])
    values["limits"] = KeyLimits(**limits)
    return ApiKey(**values)


def from_key(key: ApiKey) -> str:
    """A key's fields as they are stored."""
    values = {field.name: getattr(key, field.name) for field in fields(key)}
    for name in _KEY_TIMES:
        values[name] = None if values[name] is None else from_time(values[name])
    for name in _KEY_SETS:
        values[name] = sorted(values[name])
    values["limits"] = asdict(key.limits)
    return to_json_always(values)

"""Holds answers against the served description: status, media type, document, headers.

`Conformance(document)` is made of an OpenAPI document; `check` raises AssertionError for an answer
that the description does not allow, and says what is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator

STREAM = "text/event-stream"
NO_DOCUMENTS = {"text/html", "application/octet-stream"}
ANYWHERE = {404, 405, 431}
"""Statuses of answers that no endpoint gives: no such path, no such method, before routing."""


OURS = {"RateLimit", "Retry-After", "Idempotent-Replayed", "ETag", "Location", "Link"}
"""Headers that must be described where they appear."""


class Conformance:
    """The description of an API, as a judge."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._paths = [(_pattern(path), ops) for path, ops in document["paths"].items()]
        self._validators: dict[str, Draft202012Validator] = {}

    def check(
        self, method: str, path: str, *, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Raise AssertionError unless the description allows this answer."""
        where = f"{method} {path} -> {status}"
        assert headers.get("X-Request-Id"), f"{where}: no X-Request-Id"
        assert headers.get("X-Content-Type-Options") == "nosniff", f"{where}: no nosniff"
        media = headers.get("Content-Type", "").partition(";")[0]
        operation = self._operation("GET" if method == "HEAD" else method, path)
        if operation is None or str(status) not in operation["responses"]:
            assert status in ANYWHERE, f"{where}: not described"
            self._validate("ProblemOut", json.loads(body or b"{}") if body else None, where)
            return
        described = operation["responses"][str(status)]
        unknown = {name for name in OURS if name in headers} - set(described["headers"])
        assert not unknown, f"{where}: {unknown} not described"
        content = described.get("content", {})
        if method == "HEAD" or not content:
            assert not body, f"{where}: a body that is not described"
            return
        assert media in content, f"{where}: {media} is not described"
        if media == STREAM:
            for event in events(body):
                self._validate_schema(content[media]["x-itemSchema"], event, where)
        elif media not in NO_DOCUMENTS:
            self._validate_schema(content[media]["schema"], json.loads(body), where)

    def _operation(self, method: str, path: str) -> Mapping[str, Any] | None:
        found = [ops for pattern, ops in self._paths if pattern.fullmatch(path)]
        # A literal path stands before one with parameters.
        return next((ops[method.lower()] for ops in found if method.lower() in ops), None)

    def _validate(self, model: str, value: object, where: str) -> None:
        if value is not None:
            self._validate_schema({"$ref": f"#/components/schemas/{model}"}, value, where)

    def _validate_schema(self, schema: Mapping[str, Any], value: object, where: str) -> None:
        key = json.dumps(schema, sort_keys=True)
        validator = self._validators.get(key)
        if validator is None:
            whole = {**schema, "components": self._document["components"]}
            validator = self._validators[key] = Draft202012Validator(whole)
        problems = [f"{e.json_path}: {e.message}" for e in validator.iter_errors(value)]
        assert not problems, f"{where}: {problems[:3]}"


def events(body: bytes) -> Iterator[dict[str, Any]]:
    """The documents of a stream's events, in order."""
    for block in body.decode().split("\n\n"):
        lines = [line.partition(": ") for line in block.splitlines()]
        data = [value for name, _, value in lines if name == "data"]
        if data:
            yield json.loads("\n".join(data))


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{\w+}", "[^/]+", path))

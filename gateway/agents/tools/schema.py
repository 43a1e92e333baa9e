"""The arguments of a tool against its JSON Schema.

A file of its own because the library behind it is large: it is loaded with the first tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from gateway.errors import ConfigError, ToolError

MAX_PROBLEM_CHARS = 500


class ArgumentSchema:
    """One tool's schema, compiled; raises ConfigError when it is no JSON Schema."""

    def __init__(self, tool: str, schema: Mapping[str, Any]) -> None:
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise ConfigError(
                f"tools.{tool}.parameters is no JSON Schema: {error.message}"
            ) from error
        # An empty registry: a schema that refers to another address is never fetched.
        self._validator = Draft202012Validator(schema, registry=Registry())

    def check(self, arguments: Mapping[str, Any]) -> None:
        """Raise ToolError, with the place and the reason, when they do not fit."""
        try:
            error = best_match(self._validator.iter_errors(arguments))
        except (RecursionError, Unresolvable) as cause:
            raise ToolError("The arguments cannot be checked.", code="bad_arguments") from cause
        if error is not None:
            place = error.json_path.removeprefix("$").lstrip(".")
            where = f" at {place}" if place else ""
            raise ToolError(
                f"The arguments are not valid{where}: {error.message}"[:MAX_PROBLEM_CHARS],
                code="bad_arguments",
            )

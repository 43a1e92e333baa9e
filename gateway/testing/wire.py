"""The documents that cross the wire, as plain JSON.

The fakes speak other people's formats, judge them by rules and keep them as they came; they have
no models of their own. This file only names the shapes.
"""

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object as the standard library decodes it."""

JsonValue: TypeAlias = Any
"""Any JSON value as the standard library decodes it."""

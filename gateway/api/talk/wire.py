"""The documents of the chat page's session endpoint, as they go over the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer

Instant = Annotated[
    datetime,
    PlainSerializer(
        lambda at: at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        return_type=str,
        when_used="json",
    ),
]
"""RFC 3339 in UTC with milliseconds."""


class SessionRequest(BaseModel):
    """What the page asks for. `new` leaves the token's session and opens another."""

    model_config = ConfigDict(strict=True)

    new: bool = False


class VisitorToken(BaseModel):
    """A visitor's token: a Bearer on the native API for that one session, until it expires."""

    token: str
    session_id: str
    expires_at: Instant

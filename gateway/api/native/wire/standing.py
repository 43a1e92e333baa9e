"""How people stand, on the wire: link codes, merging, consent."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.api.native.wire.common import Given, Timestamp, Told, timestamp
from gateway.domain.people import Platform
from gateway.service.standing import MadeCode


class LinkCodeOut(Told):
    """A code that a person sends as `link CODE` on another channel; it works once."""

    object: Literal["link_code"] = "link_code"
    code: str = Field(description="Shown in this answer and nowhere else.")
    participant_id: str
    expires_at: Timestamp


class MergeIn(Given):
    """Who turned out to be the same person."""

    source_id: str = Field(
        min_length=1, max_length=64, description="A participant; the id leads on afterwards."
    )


class ConsentIn(Given):
    """Whether a person wants messages."""

    opted_out: bool = Field(description="True: nothing is sent to them any more.")
    channel: Platform | None = Field(None, description="Only on this platform; else on all.")


def link_code_out(made: MadeCode) -> LinkCodeOut:
    """A new code as a document."""
    return LinkCodeOut(
        code=made.text,
        participant_id=made.participant_id,
        expires_at=timestamp(made.expires_at),
    )

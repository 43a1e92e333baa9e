"""Files on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, RootModel, model_validator

from gateway.api.native.wire.common import Given, Timestamp, Told, timestamp
from gateway.api.native.wire.messages import Words
from gateway.domain.conversation import ContentPart, FilePart, TextPart
from gateway.domain.files import FileKind, StoredFile


class FileIn(Given):
    """A form with one file in its field `file` (multipart/form-data, RFC 7578)."""

    file: str = Field(json_schema_extra={"format": "binary"})


class FileBytes(RootModel[bytes]):
    """The bytes of a file."""


class StoredFileOut(Told):
    """A file that we have. `mime` and `kind` go by its bytes, not by what its sender said."""

    id: str
    object: Literal["file"] = "file"
    number: int
    name: str | None
    mime: str
    kind: FileKind
    size_bytes: int
    sha256: str
    created_at: Timestamp


class SendPart(Given):
    """A piece of what is sent."""

    type: Literal["text", "file"]
    text: str | None = Field(None, min_length=1)
    file_id: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _holds_something(self) -> SendPart:
        if self.type == "text" and self.text is None:
            raise ValueError("a part of type text needs text")
        if self.type == "file" and self.file_id is None:
            raise ValueError("a part of type file needs file_id")
        return self

    def part(self) -> ContentPart:
        """The part in our words."""
        if self.type == "file":
            return FilePart(self.file_id or "")
        return TextPart(self.text or "")


def _as_parts(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        raise ValueError("there is nothing to send in an empty text")
    return [{"type": "text", "text": value}]


class SendIn(Given):
    """What a person of the team sends into a session: a text, or texts and files."""

    content: Annotated[
        list[SendPart],
        Field(min_length=1, max_length=50),
        BeforeValidator(_as_parts, json_schema_input_type=Words | list[SendPart]),
    ]


def stored_file_out(stored: StoredFile) -> StoredFileOut:
    """A file as a document."""
    return StoredFileOut(
        id=stored.id,
        number=stored.number,
        name=stored.name,
        mime=stored.mime,
        kind=stored.kind,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256.hex(),
        created_at=timestamp(stored.created_at),
    )

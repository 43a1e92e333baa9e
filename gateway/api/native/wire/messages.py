"""Messages on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from gateway.api.native.wire.common import (
    MAX_WAIT_S,
    Given,
    PageQuery,
    Timestamp,
    Told,
    timestamp,
)
from gateway.domain.conversation import (
    ContentPart,
    FilePart,
    ImagePart,
    Message,
    Role,
    TextPart,
    ToolCall,
    Usage,
    Visibility,
)
from gateway.domain.delivery import DeliveryStatus
from gateway.domain.files import FileKind
from gateway.domain.ids import is_id

_REPLIES = frozenset({"assistant", "operator"})


class ImageAddress(Given):
    """Where a picture is."""

    url: str = Field(min_length=1, pattern=r"^(https?://|data:image/)")


class InputPart(Given):
    """A piece of what a person says."""

    type: Literal["text", "image_url", "file"]
    text: str | None = Field(None, min_length=1)
    image_url: ImageAddress | None = None
    file_id: str | None = Field(None, min_length=1, description="Of `POST /v1/files`.")

    @model_validator(mode="after")
    def _says_something(self) -> InputPart:
        needed = "file_id" if self.type == "file" else self.type
        if getattr(self, needed) is None:
            raise ValueError(f"a part of type {self.type} needs {needed}")
        return self

    def part(self) -> ContentPart:
        """The part in our words."""
        if self.image_url is not None and self.type == "image_url":
            return ImagePart(self.image_url.url)
        if self.file_id is not None and self.type == "file":
            return FilePart(self.file_id)
        return TextPart(self.text or "")


def _as_parts(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        raise ValueError("there is nothing to answer in an empty text")
    return [{"type": "text", "text": value}]


Words = Annotated[str, Field(min_length=1, pattern=r"\S")]
Input = Annotated[
    list[InputPart],
    Field(min_length=1, max_length=50),
    BeforeValidator(_as_parts, json_schema_input_type=Words | list[InputPart]),
]


class TextOut(Told):
    """A piece of text."""

    type: Literal["text"] = "text"
    text: str


class ImageUrlOut(Told):
    """The address of a picture."""

    url: str


class ImageOut(Told):
    """A picture."""

    type: Literal["image_url"] = "image_url"
    image_url: ImageUrlOut


class FileOut(Told):
    """A file. `file_id` leads to its bytes, where we have them; `refusal` is why it is not read."""

    type: Literal["file"] = "file"
    file_id: str | None
    kind: FileKind
    name: str | None
    mime: str | None
    size_bytes: int | None
    transcript: str | None = Field(description="What is said in a voice note.")
    refusal: str | None


PartOut = TextOut | ImageOut | FileOut


class ToolCallOut(Told):
    """A tool that is to be called; `arguments` is JSON exactly as the model wrote it."""

    call_id: str
    name: str
    arguments: str


class UsageOut(Told):
    """Tokens of model calls."""

    input_tokens: int
    output_tokens: int


class DeliveryOut(Told):
    """What became of a reply on its way."""

    status: DeliveryStatus
    provider_id: str | None = None
    error: str | None = None


class MessageOut(Told):
    """One entry of a transcript. `seq` counts without gaps; null until its turn is stored."""

    id: str
    object: Literal["message"] = "message"
    session_id: str | None
    turn_id: str | None
    seq: int | None
    role: Role
    visibility: Visibility
    agent: str | None
    channel: str | None
    content: list[PartOut]
    tool_calls: list[ToolCallOut]
    tool_call_id: str | None
    tool_name: str | None
    incomplete: bool
    delivery: DeliveryOut | None
    usage: UsageOut | None
    model: str | None
    created_at: Timestamp | None


class MessageQuery(PageQuery):
    """Which messages. With `wait` an empty piece waits for news and always has a `next_cursor`."""

    visibility: Literal["external", "all"] = "external"
    wait: int | None = Field(None, ge=1, le=MAX_WAIT_S, description="Seconds.")


def message_out(
    message: Message,
    *,
    session_id: str | None = None,
    turn_id: str | None = None,
    with_tools: bool = False,
) -> MessageOut:
    """A message as a document; `with_tools` shows what the model asked tools."""
    return MessageOut(
        id=message.id,
        session_id=message.session_id or session_id,
        turn_id=message.turn_id or turn_id,
        seq=message.seq or None,
        role=message.role,
        visibility=message.visibility,
        agent=message.agent,
        channel=message.channel,
        content=[part_out(part) for part in message.content],
        tool_calls=[tool_call_out(call) for call in message.tool_calls] if with_tools else [],
        tool_call_id=message.tool_call_id,
        tool_name=message.tool_name,
        incomplete=message.is_incomplete,
        delivery=_delivery_out(message),
        usage=usage_out(message.usage) if message.usage else None,
        model=message.model,
        created_at=timestamp(message.created_at) if message.created_at else None,
    )


def part_out(part: ContentPart) -> PartOut:
    """A piece of a message as a document."""
    match part:
        case TextPart():
            return TextOut(text=part.text)
        case ImagePart():
            return ImageOut(image_url=ImageUrlOut(url=part.url))
        case FilePart():
            return FileOut(
                file_id=part.ref if is_id(part.ref, "file") else None,
                kind=part.kind,
                name=part.name,
                mime=part.mime,
                size_bytes=part.size_bytes,
                transcript=part.text if part.kind == "audio" else None,
                refusal=part.refusal,
            )


def tool_call_out(call: ToolCall) -> ToolCallOut:
    """A tool call as a document."""
    return ToolCallOut(call_id=call.id, name=call.name, arguments=call.arguments)


def usage_out(usage: Usage) -> UsageOut:
    """Tokens as a document."""
    return UsageOut(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)


def _delivery_out(message: Message) -> DeliveryOut | None:
    """A reply's delivery; one that is read from here, and not sent, counts as sent once stored."""
    view = message.delivery
    if view is not None:
        return DeliveryOut(status=view.status, provider_id=view.provider_id, error=view.error)
    is_reply = message.role in _REPLIES and message.visibility == "external"
    return DeliveryOut(status="sent" if message.seq else "pending") if is_reply else None

"""Sessions and messages: one ordered talk of a participant with a bot, and its transcript."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gateway.contract import Address
from gateway.domain.delivery import DeliveryView
from gateway.domain.files import FileKind
from gateway.domain.ids import MessageId, ParticipantId, ProjectId, SessionId, TurnId

FileState = Literal["given", "stored", "read", "refused"]
Role = Literal["user", "assistant", "tool", "system", "operator"]
Visibility = Literal["external", "internal"]
Holder = Literal["bot", "person", "paused"]
SessionStatus = Literal["active", "ended"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture by address (https or data URL)."""

    url: str


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file by reference, and how far we are with it.

    `given`: `ref` is the platform's. From `stored` on it is the id of a stored file, of which a
    message may show more: `read` has the words that were found in it (none in a picture). `refused`
    says in `refusal` why it is not read, as the end of a sentence; `ref` is then what it was.
    """

    ref: str
    name: str | None = None
    mime: str | None = None
    size_bytes: int | None = None
    kind: FileKind = "document"
    state: FileState = "given"
    text: str | None = None
    refusal: str | None = None


ContentPart = TextPart | ImagePart | FilePart


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool; `arguments` is the JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or several model calls."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One transcript entry.

    `seq` is gapless per session, from 1, given by the store (0 = not stored yet). A `tool`
    message answers the call `tool_call_id`. `message_ref`, `sender_id` and `sender_name` are the
    platform's: which message it was, who wrote it, and what they call themselves. Internal messages
    are never shown to the person and never delivered.
    """

    id: MessageId
    role: Role
    content: tuple[ContentPart, ...] = ()
    visibility: Visibility = "external"
    agent: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    tool_name: str | None = None
    is_incomplete: bool = False
    model: str | None = None
    usage: Usage | None = None
    message_ref: str | None = None
    sender_id: str | None = None
    sender_name: str | None = None
    seq: int = 0
    session_id: SessionId | None = None
    turn_id: TurnId | None = None
    channel: str | None = None
    delivery: DeliveryView | None = None
    created_at: datetime | None = None

    @property
    def text(self) -> str:
        """The text parts, joined by line ends."""
        if len(self.content) == 1 and isinstance(self.content[0], TextPart):
            return self.content[0].text
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One ordered talk of a participant with a bot.

    `agent` is who answers next (None = the bot's start agent). `address` is where replies are
    delivered, None for a pull channel. `version` rises with every change a caller can see
    (ETag).
    """

    id: SessionId
    project_id: ProjectId
    bot: str
    participant_id: ParticipantId
    channel: str
    address: Address | None
    agent: str | None
    holder: Holder = "bot"
    title: str | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    version: int = 1
    pending: int = 0
    ended_at: datetime | None = None
    end_reason: str | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def status(self) -> SessionStatus:
        """`ended` once somebody or something ended it, else `active`."""
        return "ended" if self.ended_at else "active"

"""Rows and domain values, both ways: the one place that knows in which order columns are read.

A row is a tuple as the views of the migrations give it (`session_row`, `turn_row`, `message_row`,
`delivery_row` ...); times are integers, microseconds since 1970 UTC; documents are JSON text, None
when empty. Knows no database driver.

Text that a database cannot hold (NUL, half a surrogate pair) is refused here with Unprocessable,
before anything is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.contract import Address
from gateway.domain.conversation import (
    ContentPart,
    FilePart,
    ImagePart,
    Message,
    Session,
    TextPart,
    ToolCall,
    Usage,
)
from gateway.domain.delivery import Delivery
from gateway.domain.files import StoredFile
from gateway.domain.people import Identity, Participant
from gateway.domain.turns import Turn, TurnError, TurnOptions
from gateway.errors import Unprocessable

Row = Sequence[Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NOTHING: Mapping[str, Any] = {}
_decode = json.JSONDecoder().decode


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
).encode


# ---------------------------------------------------------------- times, texts, documents


def to_time(microseconds: int) -> datetime:
    """The moment that a stored time means."""
    return EPOCH + timedelta(microseconds=microseconds)


def to_time_or_none(microseconds: int | None) -> datetime | None:
    """The moment that a stored time means; None stays None."""
    return None if microseconds is None else EPOCH + timedelta(microseconds=microseconds)


def from_time(moment: datetime) -> int:
    """A moment as it is stored.

    >>> to_time(from_time(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))).microsecond
    678901
    """
    return (moment - EPOCH) // _MICROSECOND


def clean(text: str) -> str:
    """The text itself.

    Raises Unprocessable (`invalid_text`) when it holds NUL or half a surrogate pair.

    >>> clean("Grüße 👋")
    'Grüße 👋'
    """
    if text.isascii():
        if "\0" in text:
            raise _invalid_text()
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _invalid_text() from None
    if "\0" in text:
        raise _invalid_text()
    return text


def clean_or_none(text: str | None) -> str | None:
    """The same for a text that may be missing."""
    return None if text is None else clean(text)


def to_json(value: Any) -> str | None:
    """A document as JSON text; None when it is empty.

    Raises Unprocessable (`invalid_text`) as `clean` does, for any text inside, and
    (`validation_failed`) when it is no JSON value.
    """
    if not value:
        return None
    return to_json_always(value)


def to_json_always(value: Any) -> str:
    """A document as JSON text, also when it is empty."""
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unprocessable("A document holds a value that is not JSON.") from error
    if "\\u0000" in text and _has_nul(value):
        raise _invalid_text()
    return clean(text)


def from_json(text: str | None) -> Any:
    """The document behind a JSON text; None is an empty object."""
    return {} if text is None else _decode(text)


# ---------------------------------------------------------------- sessions and messages


def to_session(row: Row) -> Session:
    """A `session_row` as a session; further columns are ignored."""
    channel = row[5]
    return Session(
        id=row[0],
        project_id=row[1],
        bot=row[2],
        participant_id=row[3],
        channel=row[4],
        address=None if channel is None else Address(channel, row[6], row[7] or None),
        agent=row[8],
        holder=row[9],
        title=row[10],
        state=_decode(row[11]) if row[11] else _NOTHING,
        metadata=_decode(row[12]) if row[12] else _NOTHING,
        tags=tuple(_decode(row[13])) if row[13] else (),
        version=row[14],
        pending=row[15],
        ended_at=to_time_or_none(row[16]),
        end_reason=row[17],
        created_at=to_time(row[18]),
        updated_at=to_time(row[19]),
    )


def to_message(row: Row) -> Message:
    """A `message_row` as a message without its delivery."""
    text, parts, tool_calls, input_tokens = row[2], row[3], row[6], row[11]
    if parts is not None:
        content = tuple([_to_part(part) for part in _decode(parts)])
    else:
        content = () if text is None else (TextPart(text),)
    return Message(
        id=row[0],
        role=row[1],
        content=content,
        visibility="internal" if row[4] else "external",
        agent=row[5],
        tool_calls=to_tool_calls(tool_calls) if tool_calls else (),
        tool_call_id=row[7],
        tool_name=row[8],
        is_incomplete=bool(row[9]),
        model=row[10],
        usage=None if input_tokens is None else Usage(input_tokens, row[12]),
        message_ref=row[13],
        seq=row[14],
        session_id=row[15],
        turn_id=row[16],
        channel=row[17],
        created_at=to_time(row[18]),
        sender_id=row[20],
        sender_name=row[21],
    )


def from_content(content: tuple[ContentPart, ...]) -> tuple[str | None, str | None]:
    """A message's content as the columns `text` and `parts`."""
    if not content:
        return None, None
    if len(content) == 1 and type(content[0]) is TextPart:
        return clean(content[0].text), None
    return None, to_json([_from_part(part) for part in content])


def to_tool_calls(text: str | None) -> tuple[ToolCall, ...]:
    """Stored tool calls."""
    return () if text is None else tuple([ToolCall(*call) for call in _decode(text)])


def from_tool_calls(calls: Sequence[ToolCall]) -> str | None:
    """Tool calls as they are stored."""
    return to_json([[call.id, call.name, call.arguments] for call in calls])


# ---------------------------------------------------------------- turns and deliveries


def to_turn(row: Row, messages: tuple[Message, ...] = ()) -> Turn:
    """A `turn_row` as a turn; further columns are ignored."""
    code = row[14]
    return Turn(
        id=row[0],
        project_id=row[1],
        session_id=row[2],
        seq=row[3],
        kind=row[4],
        state=row[5],
        bot=row[6],
        attempts=row[7],
        crash_count=row[8],
        options=to_options(row[9]),
        final_agent=row[10],
        model=row[11],
        usage=Usage(row[12], row[13]),
        error=None if code is None else TurnError(code, row[15], bool(row[16])),
        is_incomplete=bool(row[17]),
        cancel_requested=bool(row[18]),
        bot_version=row[19],
        tool_calls=to_tool_calls(row[20]),
        messages=messages,
        participant_id=row[21],
        channel=row[22],
        created_at=to_time(row[23]),
        started_at=to_time_or_none(row[24]),
        finished_at=to_time_or_none(row[25]),
    )


_NO_OPTIONS = TurnOptions()


def to_options(text: str | None) -> TurnOptions:
    """Stored options of a turn."""
    return _NO_OPTIONS if text is None else TurnOptions(**_decode(text))


def from_options(options: TurnOptions) -> str | None:
    """Options as they are stored: only what is not the default."""
    if options is _NO_OPTIONS or options == _NO_OPTIONS:
        return None
    return to_json(
        {
            field.name: value
            for field in fields(options)
            if (value := getattr(options, field.name)) != getattr(_NO_OPTIONS, field.name)
        }
    )


def to_delivery(row: Row) -> Delivery:
    """A `delivery_row` as a delivery; further columns are ignored."""
    return Delivery(
        id=row[0],
        project_id=row[1],
        session_id=row[2],
        turn_id=row[3],
        part_no=row[4],
        out_no=row[5],
        account=row[6],
        address=Address(row[7], row[8], row[9] or None),
        part=_decode(row[10]),
        state=row[11],
        attempts=row[12],
        open_ref=row[13],
        provider_id=row[14],
        receipt=row[15],
        error=row[16],
        is_command_answer=bool(row[17]),
        next_at=to_time_or_none(row[18]),
        sent_started_at=to_time_or_none(row[19]),
        created_at=to_time(row[20]),
        opened_at=to_time_or_none(row[27]),
    )


# ---------------------------------------------------------------- people and keys


def to_identity(row: Row) -> Identity:
    """A row of an identity, the columns in the order of its fields."""
    return Identity(
        id=row[0],
        project_id=row[1],
        participant_id=row[2],
        platform=row[3],
        external_id=row[4],
        name=row[5],
        blocked=bool(row[6]),
        opted_out=bool(row[7]),
        created_at=to_time(row[8]),
    )


def to_participant(row: Row, identities: Sequence[Row]) -> Participant:
    """A `participant_row` and the rows of its identities as a participant."""
    return Participant(
        id=row[0],
        project_id=row[1],
        name=row[2],
        metadata=from_json(row[3]),
        identities=tuple([to_identity(identity) for identity in identities]),
        created_at=to_time(row[4]),
        updated_at=to_time(row[5]),
    )


def to_file(row: Row) -> StoredFile:
    """A `file_row` as a stored file."""
    return StoredFile(
        id=row[0],
        project_id=row[1],
        number=row[2],
        name=row[3],
        mime=row[4],
        kind=row[5],
        size_bytes=row[6],
        sha256=row[7],
        created_at=to_time(row[8]),
    )


# ---------------------------------------------------------------- inside


_FILE_FIELDS = tuple([field.name for field in fields(FilePart)])


def _to_part(part: Mapping[str, Any]) -> ContentPart:
    match part["type"]:
        case "text":
            return TextPart(part["text"])
        case "image":
            return ImagePart(part["url"])
        case "file":
            return FilePart(**{name: part[name] for name in _FILE_FIELDS if name in part})
        case unknown:
            raise ValueError(f"unknown kind of content: {unknown!r}")


def _from_part(part: ContentPart) -> Mapping[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            return {"type": "image", "url": part.url}
        case FilePart():
            told = {name: getattr(part, name) for name in _FILE_FIELDS}
            return {
                "type": "file",
                **{name: each for name, each in told.items() if each is not None},
            }


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any(_has_nul(key) or _has_nul(inner) for key, inner in value.items())
    return isinstance(value, list | tuple) and any(_has_nul(inner) for inner in value)


def _invalid_text() -> Unprocessable:
    return Unprocessable(
        "The text holds a character that cannot be stored (NUL, or half a surrogate pair).",
        code="invalid_text",
    )

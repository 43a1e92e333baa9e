"""What several documents share: times, metadata, lists and their parameters, problems."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

MAX_LIMIT = 100
MAX_WAIT_S = 30

_MOMENT = re.compile(r"(?!0000|0001|9999)\d{4}-\d\d-\d\d[Tt ]")
"""How RFC 3339 begins; without the years in which an offset leads out of the calendar."""


class Given(BaseModel):
    """A document of a caller: types are taken literally, members we do not know are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, defer_build=True)


class Told(BaseModel):
    """A document of ours."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class Parameters(BaseModel):
    """Parameters of a query: texts, read as what they stand for."""

    model_config = ConfigDict(frozen=True, defer_build=True)


def timestamp(moment: datetime) -> str:
    """A time as it goes over the wire: RFC 3339, UTC, milliseconds.

    >>> timestamp(datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC))
    '2026-01-02T03:04:05.678Z'
    """
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"


def _few(metadata: dict[str, Any]) -> dict[str, Any]:
    if any(len(name) > 64 for name in metadata):
        raise ValueError("names have at most 64 characters")
    return metadata


def _as_moment(value: object) -> object:
    """The text of a time; plain numbers are none."""
    if not isinstance(value, str) or not _MOMENT.match(value):
        raise ValueError("a time is expected, like 2026-01-02T03:04:05Z")
    return value


Scalar = Annotated[str, Field(max_length=512)] | int | float | bool | None
Metadata = Annotated[
    dict[str, Scalar],
    Field(max_length=16, description="At most 16 pairs; names up to 64, texts up to 512 letters."),
    AfterValidator(_few),
]
Timestamp = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-01-02T03:04:05.678Z"])
]
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_as_moment)]
"""A time a caller gives: RFC 3339 with an offset."""

Object = dict[str, Any]
Item = TypeVar("Item")


class ListOut(Told, Generic[Item]):
    """A piece of a list. Go on with `?cursor=` and the `next_cursor` of the last piece."""

    object: Literal["list"] = "list"
    data: list[Item]
    has_more: bool
    next_cursor: str | None


class PageQuery(Parameters):
    """Which piece of a list."""

    limit: int = Field(20, ge=1, le=MAX_LIMIT)
    order: Literal["asc", "desc"] = "desc"
    cursor: str | None = Field(None, max_length=1024)


class WaitQuery(Parameters):
    """How long to wait for something to happen."""

    wait: int | None = Field(None, ge=1, le=MAX_WAIT_S, description="Seconds.")


class FieldProblem(Told):
    """One invalid place in a request."""

    pointer: str = Field(description="JSON Pointer into the body, or `?name` of a parameter.")
    code: str
    detail: str


class ProblemOut(Told):
    """What went wrong (RFC 9457). Programs go by `code`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    retryable: bool
    errors: list[FieldProblem] | None = None

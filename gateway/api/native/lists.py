"""Lists as answers: the piece that was asked for, and the cursor behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from gateway.api.http.cursors import SortKey
from gateway.api.http.endpoints import Call
from gateway.api.native.wire.common import PageQuery
from gateway.service.listing import Listing, Page

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Dated(Protocol):
    """Something with an id and a time of making."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        ...


DatedRow = TypeVar("DatedRow", bound=Dated)


def asked_page(call: Call, query: PageQuery) -> Page:
    """The page a query asks for; raises BadRequest (`invalid_cursor`)."""
    identity = _identity(call, query)
    return call.cursors.page(query.cursor, limit=query.limit, order=query.order, of=identity)


def next_cursor(call: Call, query: PageQuery, after: SortKey) -> str:
    """The cursor behind a row of the list a query asks for."""
    return call.cursors.write(after, of=_identity(call, query))


def dated_cursor(call: Call, query: PageQuery, listing: Listing[DatedRow]) -> str | None:
    """The cursor behind a listing that is sorted by time and id, or None at its end."""
    return next_cursor(call, query, dated_key(listing.items[-1])) if listing.has_more else None


def dated_key(row: Dated) -> SortKey:
    """What such lists are sorted by: microseconds since 1970, id."""
    return ((row.created_at - _EPOCH) // _MICROSECOND, row.id)


def slice_dated(rows: Sequence[DatedRow], page: Page) -> Listing[DatedRow]:
    """The page of a short list that is held in memory as a whole."""
    is_desc = page.order == "desc"
    ordered = sorted(rows, key=dated_key, reverse=is_desc)
    if page.after is not None:
        after = page.after
        ordered = [
            row
            for row in ordered
            if (dated_key(row) < after if is_desc else dated_key(row) > after)
        ]
    return Listing(ordered[: page.limit], len(ordered) > page.limit)


def links(call: Call, query: PageQuery, cursor: str | None) -> Mapping[str, str]:
    """The `Link` header to the next piece (RFC 8288)."""
    if cursor is None:
        return {}
    given = query.model_dump(mode="json", exclude_unset=True) | {"cursor": cursor}
    return {"Link": f'<{call.request.path}?{urlencode(given)}>; rel="next"'}


def _identity(call: Call, query: PageQuery) -> Mapping[str, object]:
    """What makes a list that list: the caller's project, path, order and filters."""
    filters = query.model_dump(mode="json", exclude={"cursor", "limit", "wait"})
    return {"project": call.principal.project_id, "path": call.request.path, **filters}

"""Cursors of lists: opaque, signed, and good only for the list they were given out for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from gateway.errors import BadRequest
from gateway.service.listing import Order, Page
from gateway.service.signing import Signer

_PURPOSE = "cursor"

SortKey = tuple[int | str, ...]


class Cursors:
    """Gives out cursors and reads them again."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def write(self, after: SortKey, *, of: Mapping[str, object]) -> str:
        """The cursor behind a row; `of` is all that makes the list: path, order, filters."""
        return self._signer.seal(_PURPOSE, json.dumps([_list_id(of), *after]).encode())

    def page(
        self, cursor: str | None, *, limit: int, order: Order, of: Mapping[str, object]
    ) -> Page:
        """The page behind a cursor (None = the first).

        Raises BadRequest (`invalid_cursor`) when it was not given out here for this list.
        """
        if cursor is None:
            return Page(limit=limit, order=order)
        payload = self._signer.unseal(_PURPOSE, cursor)
        known: list[int | str] = json.loads(payload) if payload else [""]
        if known[0] != _list_id(of):
            raise BadRequest("This cursor belongs to another list.", code="invalid_cursor")
        return Page(limit=limit, order=order, after=tuple(known[1:]))


def _list_id(of: Mapping[str, object]) -> str:
    text = json.dumps(of, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""A piece of a list, as services give it: the rows, and whether more follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from gateway.store.protocol.history import Order, Page

__all__ = ["Listing", "Order", "Page", "one_more", "piece"]

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """Rows in the asked order; `has_more` when the list goes on behind them."""

    items: Sequence[Item]
    has_more: bool


def one_more(page: Page) -> Page:
    """The page and one row: whoever gets that row knows that the list goes on."""
    return replace(page, limit=page.limit + 1)


def piece(rows: Sequence[Item], page: Page) -> Listing[Item]:
    """The listing of a page from rows that were read with `one_more`.

    >>> piece([1, 2, 3], Page(limit=2))
    Listing(items=[1, 2], has_more=True)
    """
    return Listing(rows[: page.limit], len(rows) > page.limit)

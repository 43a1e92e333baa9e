"""The promises of a store, one protocol an area; `Store` is all of them.

`gateway.flow` and `gateway.service` know only this. Times are aware UTC datetimes with
microseconds; the store's own clock gives `created_at`, leases and due times. Writes return only
when they are durable.
"""

from __future__ import annotations

from typing import Protocol

from gateway.store.protocol.accounts import AccountStore
from gateway.store.protocol.coordination import CoordinationStore
from gateway.store.protocol.dead_letters import DeadLetterStore
from gateway.store.protocol.files import FileStore
from gateway.store.protocol.history import HistoryStore
from gateway.store.protocol.inbox import InboxStore
from gateway.store.protocol.lingering import LingeringStore
from gateway.store.protocol.outbox import OutboxStore
from gateway.store.protocol.people import PeopleStore
from gateway.store.protocol.turns import TurnStore


class Store(
    InboxStore,
    TurnStore,
    OutboxStore,
    DeadLetterStore,
    HistoryStore,
    PeopleStore,
    FileStore,
    AccountStore,
    CoordinationStore,
    LingeringStore,
    Protocol,
):
    """Everything that is remembered."""

"""A gateway as a channel sees it, which keeps everything in lists and fails when it is told to.

host = FakeHost()
async with channel.connected(host), channel.receiving():
...                                     # let the platform say something
await host.until(lambda: host.texts == ["Hello"])
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from gateway.contract import Address, HealthState, Inbound, Json
from gateway.errors import NotFound, StoreError
from gateway.testing.loopback import Changes


class FakeHost:
    """What a channel sees of the gateway; `failures` are raised by the next calls of accept."""

    def __init__(self) -> None:
        self.batches: list[list[Inbound]] = []
        self.cursors: dict[str, str] = {}
        self.notes: dict[str, Json] = {}
        self.states: list[tuple[HealthState, str | None]] = []
        self.failures: list[Exception] = []
        self.secret_notes: set[str] = set()
        self.files: dict[str, bytes] = {}
        self.opens: Callable[[str], AsyncGenerator[bytes, None]] | None = None
        self.heard: dict[Address, datetime] = {}
        self.offers: Sequence[str] = ()
        self.ignored_kinds: Counter[str] = Counter()
        self.refused = 0
        self.unreadable_cursors = 0
        self.unwritable_cursors = 0
        self.poison: Callable[[Inbound], bool] = lambda _: False
        self._changes = Changes()

    @property
    def inbound(self) -> list[Any]:
        """Everything accepted so far, in order."""
        return [event for batch in self.batches for event in batch]

    @property
    def texts(self) -> list[str]:
        """The texts of everything accepted; all of it must have one."""
        return [event.text for event in self.inbound]

    async def accept(
        self, batch: Sequence[Inbound], *, cursor: tuple[str, str] | None = None
    ) -> None:
        """Keep the batch and its cursor, or raise the next of `failures`."""
        try:
            if self.failures:
                self.refused += 1
                raise self.failures.pop(0)
            if any(self.poison(event) for event in batch):
                raise ValueError("this one cannot be stored")
            if not batch and self.unwritable_cursors:
                self.unwritable_cursors -= 1
                raise ValueError("no place for a cursor")
            self.batches.append(list(batch))
            if cursor is not None:
                self.cursors[cursor[0]] = cursor[1]
        finally:
            self._changes.tell()

    async def cursor(self, name: str) -> str | None:
        """The last value accepted under that name."""
        if self.unreadable_cursors:
            self.unreadable_cursors -= 1
            raise StoreError("the store is not ready")
        return self.cursors.get(name)

    async def note(self, key: str) -> Json | None:
        """A kept note."""
        return self.notes.get(key)

    async def keep_note(self, key: str, value: Json | None, *, is_secret: bool = False) -> None:
        """Keep, replace or remove a note; `secret_notes` names those that are to be encrypted."""
        if value is None:
            self.notes.pop(key, None)
        else:
            self.notes[key] = value
        (self.secret_notes.add if is_secret else self.secret_notes.discard)(key)

    async def open_file(self, ref: str) -> AsyncGenerator[bytes, None]:
        """The bytes of a file in `files`, or what `opens` gives in their place."""
        if self.opens is not None:
            async with aclosing(self.opens(ref)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        if ref not in self.files:
            raise NotFound("There is no such file.")
        yield self.files[ref]

    async def heard_at(self, account: str, address: Address) -> datetime | None:
        """The time kept in `heard` for that address."""
        return self.heard.get(address)

    def suggestions(self) -> Sequence[str]:
        """What is to be offered first."""
        return self.offers

    def ignored(self, kind: str) -> None:
        """Count an event that means nothing."""
        self.ignored_kinds[kind] += 1
        self._changes.tell()

    def health(self, state: HealthState, *, reason: str | None = None) -> None:
        """Note how the channel says it is."""
        self.states.append((state, reason))
        self._changes.tell()

    async def until(self, fact: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """Wait until something is true; looked at after every accept and every state."""
        await self._changes.until(
            fact,
            timeout_s=timeout_s,
            otherwise=lambda: f"{self.inbound} {self.states} {self.refused}",
        )

    async def until_state(self, state: HealthState, words: str = "") -> None:
        """Wait until the channel has said that it is so, with these words in its reason."""
        await self.until(
            lambda: any(s == state and words in (reason or "") for s, reason in self.states)
        )

"""What a channel may ask of the gateway, and how each channel is kept connected.

`ChannelPort` fulfils the contract's `ChannelHost` for one channel. `Supervisor` connects each
channel on its own: one that cannot connect never stops the others or the daemon.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic

import structlog

from gateway.contract import Address, Channel, HealthState, Inbound, Json, Unreadable
from gateway.domain.ids import FileId
from gateway.errors import (
    DeliveryRefused,
    GatewayError,
    RequestError,
    StoreError,
    Unavailable,
)
from gateway.flow.file_bytes import file_bytes
from gateway.flow.intake import Intake
from gateway.flow.sealed_notes import NoteSeal
from gateway.store.protocol import Store

log = structlog.get_logger(__name__)

RETRY_DELAYS_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
KINDS = 100
"""Kinds of ignored events counted apart: a platform must not fill our memory with words."""
STABLE_S = 30.0
"""A connection that held this long is no longer counted as a failed one when it breaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelHealth:
    """How a channel is: state, why, since when, and when it last heard something.

    `ignored_events` counts what its platform sent that means nothing to us, by the platform's word.
    """

    state: HealthState = "starting"
    reason: str | None = None
    since: datetime
    last_in_at: datetime | None = None
    ignored_events: Mapping[str, int] = field(default_factory=dict)


class ChannelPort:
    """The gateway, as one channel sees it.

    `connected` is the set of channels that can send now, shared with the outbox; `seal` encrypts
    the notes that are secrets.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        store: Store,
        intake: Intake,
        connected: set[str],
        seal: NoteSeal,
    ) -> None:
        self.channel = channel
        self._seal = seal
        self._store = store
        self._intake = intake
        self._connected = connected
        self.status = ChannelHealth(since=datetime.now(UTC))
        self.ignored_events: Counter[str] = Counter()

    async def accept(
        self, batch: Sequence[Inbound], *, cursor: tuple[str, str] | None = None
    ) -> None:
        """Commit a batch and the cursor; raises Unavailable when nothing was stored.

        What can never be stored as it is does not hold up the rest: it is kept for the operator.
        """
        try:
            await self._accept(batch, cursor=cursor)
        except (StoreError, RequestError) as error:
            raise Unavailable(error.message, retry_after_s=5, code=error.code) from error
        if batch:
            self.status = replace(self.status, last_in_at=datetime.now(UTC))

    async def _accept(
        self, batch: Sequence[Inbound], *, cursor: tuple[str, str] | None = None
    ) -> None:
        name = self.channel.name
        try:
            await self._intake.accept_inbound(name, batch, cursor=cursor)
        except RequestError as error:
            if error.retryable or not batch:
                raise
            if len(batch) == 1:
                log.warning("inbound_not_storable", channel=name, code=error.code)
                kept = [_kept_raw(batch[0], reason=error.message)]
                await self._intake.accept_inbound(name, kept, cursor=cursor)
                return
            for inbound in batch:
                await self._accept([inbound])
            await self._accept([], cursor=cursor)

    async def cursor(self, name: str) -> str | None:
        """The last committed cursor of that name, or None."""
        return await self._store.cursor(self.channel.name, name)

    async def note(self, key: str) -> Json | None:
        """A small durable value of this channel, or None.

        Raises StoreError when it is a secret that was kept under another secret of the server.
        """
        name = self.channel.name
        note = await self._store.note(name, key)
        try:
            return None if note is None else self._seal.opened(name, key, note)
        except StoreError as error:
            self.health("degraded", reason=error.message)
            raise

    async def keep_note(self, key: str, value: Json | None, *, is_secret: bool = False) -> None:
        """Store, replace or remove a small durable value; a secret one leaves here encrypted."""
        name = self.channel.name
        if is_secret and value is not None:
            value = self._seal.seal(name, key, value)
        await self._store.keep_note(name, key, value)

    def open_file(self, ref: str) -> AsyncGenerator[bytes, None]:
        """The bytes of an attachment of the channel's project; raises NotFound."""
        project_id = self._intake.project_of(self.channel.name)
        return file_bytes(self._store, project_id, FileId(ref))

    async def heard_at(self, account: str, address: Address) -> datetime | None:
        """When a person last wrote at that address, or None."""
        return await self._intake.heard_at(self.channel.name, account, address)

    def suggestions(self) -> Sequence[str]:
        """What the channel's bot offers to ask first."""
        return self._intake.suggestions(self.channel.name)

    def ignored(self, kind: str) -> None:
        """Count an event that means nothing to us."""
        known = kind if kind in self.ignored_events or len(self.ignored_events) < KINDS else "other"
        self.ignored_events[known] += 1

    def connect(self, *, is_connected: bool) -> None:
        """Note in the set of connected channels whether this one can send."""
        if is_connected:
            self._connected.add(self.channel.name)
        else:
            self._connected.discard(self.channel.name)

    def health(self, state: HealthState, *, reason: str | None = None) -> None:
        """Note how the channel is; logged when it changes."""
        if (state, reason) == (self.status.state, self.status.reason):
            return
        self.status = replace(self.status, state=state, reason=reason, since=datetime.now(UTC))
        write = log.info if state == "connected" else log.warning
        write("channel_state_changed", channel=self.channel.name, state=state, reason=reason)


def _kept_raw(inbound: Inbound, *, reason: str) -> Unreadable:
    return Unreadable(
        account=inbound.account,
        external_id=inbound.external_id,
        digest=inbound.digest,
        received_at=inbound.received_at,
        raw=repr(inbound).encode(),
        reason=reason,
    )


class Supervisor:
    """Keeps the channels of one process connected and, while `may_hear`, receiving."""

    def __init__(
        self,
        ports: Sequence[ChannelPort],
        *,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        stable_s: float = STABLE_S,
    ) -> None:
        self._ports = {port.channel.name: port for port in ports}
        self._retry_delays_s = retry_delays_s
        self._stable_s = stable_s
        self._may_hear = asyncio.Event()
        self._must_deafen = asyncio.Event()
        self._hearing: set[str] = set()
        self._deaf = asyncio.Event()
        self._deaf.set()

    def health(self) -> dict[str, ChannelHealth]:
        """How every channel is, by name."""
        return {
            name: replace(port.status, ignored_events=dict(port.ignored_events))
            for name, port in self._ports.items()
        }

    async def run(self) -> None:
        """Connect all channels until cancelled."""
        async with asyncio.TaskGroup() as group:
            for port in self._ports.values():
                group.create_task(self._keep(port), name=f"channel-{port.channel.name}")

    def hear(self) -> None:
        """Let channels receive."""
        self._may_hear.set()

    async def deafen(self, *, within_s: float) -> None:
        """Stop receiving everywhere; sending goes on."""
        self._must_deafen.set()
        try:
            async with asyncio.timeout(within_s):
                await self._deaf.wait()
        except TimeoutError:
            log.warning("channels_still_receiving", channels=sorted(self._hearing))

    async def _keep(self, port: ChannelPort) -> None:
        """Connect one channel again and again, waiting longer each time it fails at once."""
        failures = 0
        while True:
            began = monotonic()
            try:
                await self._connect(port)
            except DeliveryRefused as error:
                port.health("stopped", reason=error.message)
                return
            except GatewayError as error:
                port.health("degraded", reason=error.message)
            except Exception:
                log.exception("channel_broke", channel=port.channel.name)
                port.health("degraded", reason="an unexpected error; see the log")
            if _is_cancelled():
                raise asyncio.CancelledError
            if monotonic() - began >= self._stable_s:
                failures = 0
            last = len(self._retry_delays_s) - 1
            await asyncio.sleep(self._retry_delays_s[min(failures, last)])
            failures += 1

    async def _connect(self, port: ChannelPort) -> None:
        """Connect one channel, let it hear when it may, and hold it until something ends it."""
        async with port.channel.connected(port):
            port.connect(is_connected=True)
            port.health("connected")
            try:
                await self._may_hear.wait()
                if not self._must_deafen.is_set():
                    await self._receive(port)
                await asyncio.Event().wait()
            finally:
                port.connect(is_connected=False)

    async def _receive(self, port: ChannelPort) -> None:
        name = port.channel.name
        self._hearing.add(name)
        self._deaf.clear()
        try:
            async with port.channel.receiving():
                await self._must_deafen.wait()
        finally:
            self._hearing.discard(name)
            if not self._hearing:
                self._deaf.set()


def _is_cancelled() -> bool:
    """Whether this task was cancelled and an error came out in place of that.

    A TaskGroup of Python 3.11 in an adapter loses a cancellation that meets an error.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

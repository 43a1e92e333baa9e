"""Socket Mode: hears Slack over WebSockets that we open ourselves.

Takes a `Door`; acknowledges an envelope only when the gateway has it on disk. Envelopes of one
connection are taken in the order they came, several at once when they wait. A connection that falls
silent is found out by our own pings. Slack replaces connections every few hours: the next one is
opened before the old one has ended. docs.slack.dev, "Using Socket Mode"; read November 2026.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import structlog

from channels.slack.api import SlackApi, SlackError, SlackRefused, SlackSilence
from channels.slack.door import Door, Kind, Told
from channels.slack.installations import TOKEN_REFUSED
from gateway.contract import ChannelHost
from gateway.errors import GatewayError

_log: Final = structlog.get_logger(__name__)

KINDS: Final[dict[str, Kind]] = {
    "events_api": "events_api",
    "interactive": "interactive",
    "slash_commands": "slash_commands",
}
DISABLED: Final = frozenset({"link_disabled", "socket_mode_disabled", "socket_mode_not_enabled"})
WRONG_TOKEN: Final = TOKEN_REFUSED | {"not_allowed_token_type", "missing_scope"}

MAX_FRAME_BYTES: Final = 4 << 20
_TOGETHER: Final = 50
_WAITING: Final = 200
_STORE_PAUSES_S: Final = (0.0, 0.3, 0.6, 1.2)
"""Slack waits three seconds for an acknowledgement."""

_STABLE_S: Final = 1.0
_GREETED_PAUSE_S: Final = 2.0
"""A connection that ended sooner than the first is followed by a pause, up to the second."""

_CLOSE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketTimes:
    """How long to wait for what, in seconds.

    After `silent_s` without a frame we ask, and after half of that without an answer the connection
    counts as dead. Pauses double from the first to the longest. An outage of `outage_s` is longer
    than Slack's own first tries: what was said meanwhile is looked up.
    """

    silent_s: float = 20
    first_pause_s: float = 0.5
    longest_pause_s: float = 30
    crowded_s: float = 60
    hello_s: float = 10
    drain_s: float = 30
    outage_s: float = 60


@dataclass(frozen=True, slots=True)
class _Envelope:
    """`told` None = nothing we know, which is acknowledged all the same."""

    id: str
    told: Told | None


class _Connection:
    """One WebSocket; `left` is set when another one is needed in its place."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, door: Door, *, drain_s: float
    ) -> None:
        self._socket = socket
        self._door = door
        self._drain_s = drain_s
        self._waiting: asyncio.Queue[_Envelope] = asyncio.Queue(_WAITING)
        self.greeted = asyncio.Event()
        self.left = asyncio.Event()
        self.reason = ""
        self._drain = asyncio.timeout(None)

    async def run(self) -> None:
        """Hear until it ends; never raises but when cancelled."""
        taker = asyncio.create_task(self._take())
        try:
            async with asyncio.timeout(None) as self._drain:
                async for frame in self._socket:
                    if frame.type is aiohttp.WSMsgType.TEXT:
                        await self._read(frame.data)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            _log.info("slack_socket_broke", reason=type(error).__name__)
        finally:
            taker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await taker
            await self._socket.close()
            self.left.set()

    async def _read(self, text: str) -> None:
        frame = _document(text)
        match frame.get("type"):
            case "hello":
                self.greeted.set()
            case "disconnect":
                self.reason = str(frame.get("reason") or "unknown")
                self._drain.reschedule(asyncio.get_running_loop().time() + self._drain_s)
                self.left.set()
            case kind:
                envelope = _envelope(str(kind), frame)
                if envelope is not None:
                    await self._waiting.put(envelope)

    async def _take(self) -> None:
        """Store and acknowledge; what the gateway cannot take is tried again before later ones."""
        while True:
            batch = [await self._waiting.get()]
            while not self._waiting.empty() and len(batch) < _TOGETHER:
                batch.append(self._waiting.get_nowait())
            for pause_s in _STORE_PAUSES_S:
                await asyncio.sleep(pause_s)
                if await self._is_stored(batch):
                    await self._acknowledge(batch)
                    break

    async def _is_stored(self, batch: Sequence[_Envelope]) -> bool:
        try:
            await self._door.take([one.told for one in batch if one.told is not None])
        except GatewayError as error:
            _log.warning("events_not_stored", events=len(batch), code=error.code)
            return False
        except Exception:  # noqa: BLE001 - a connection that hears no more would seem to be in order
            _log.exception("envelopes_failed", events=len(batch))
            return False
        return True

    async def _acknowledge(self, batch: Sequence[_Envelope]) -> None:
        """Slack sends again what it does not hear this of."""
        with contextlib.suppress(aiohttp.ClientError, OSError):
            for envelope in batch:
                await self._socket.send_str(json.dumps({"envelope_id": envelope.id}))


class SocketReceiver:
    """Keeps one WebSocket open, and opens the next when that one is to go.

    `make_good` is called before the first one, and again after an outage.
    """

    def __init__(
        self,
        api: SlackApi,
        door: Door,
        *,
        host: ChannelHost,
        app_token: str,
        make_good: Callable[[], Awaitable[None]],
        times: SocketTimes,
    ) -> None:
        self._api = api
        self._door = door
        self._host = host
        self._app_token = app_token
        self._make_good = make_good
        self._times = times
        self._open: set[asyncio.Task[None]] = set()
        self._alive_at: float | None = None
        self._failures = 0

    async def run(self) -> None:
        """Hear until cancelled, or until Slack will not have it (the health tells why)."""
        try:
            while True:
                pause_s = await self._round()
                if pause_s is None:
                    return
                await asyncio.sleep(pause_s)
        finally:
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _round(self) -> float | None:
        """One connection; gives the pause before the next, None = there will be none."""
        clock = asyncio.get_running_loop()
        if self._alive_at is None or clock.time() - self._alive_at > self._times.outage_s:
            await self._make_good()
        try:
            connection = await self._connected()
        except SlackRefused as refusal:
            return self._after_refusal(refusal)
        except (SlackError, aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = str(error) if isinstance(error, SlackError) else type(error).__name__
            self._host.health("degraded", reason=f"no socket to Slack ({reason})")
            return self._pause(self._times.longest_pause_s)
        began_at = clock.time()
        if connection.greeted.is_set():
            self._host.health("connected")
            await connection.left.wait()
            self._alive_at = clock.time()
        return self._after(connection.reason, lived_s=clock.time() - began_at)

    async def _connected(self) -> _Connection:
        """A connection that said hello, or that said why not."""
        answer = await self._api.call("apps.connections.open", token=self._app_token)
        url = answer.get("url")
        if not isinstance(url, str):
            raise SlackSilence("no address for a socket", was_written=True)
        socket = await self._api.http.ws_connect(
            url,
            heartbeat=self._times.silent_s,
            max_msg_size=MAX_FRAME_BYTES,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
        )
        connection = _Connection(socket, self._door, drain_s=self._times.drain_s)
        task = asyncio.create_task(connection.run())
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        left = asyncio.create_task(connection.left.wait())
        greeted = asyncio.create_task(connection.greeted.wait())
        try:
            done, _ = await asyncio.wait(
                (left, greeted),
                timeout=self._times.hello_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            left.cancel()
            greeted.cancel()
        if not done:
            task.cancel()
            raise SlackSilence("a socket that did not say hello", was_written=True)
        return connection

    def _after_refusal(self, refusal: SlackRefused) -> float | None:
        if refusal.error in DISABLED:
            return self._after("link_disabled", lived_s=0)
        if refusal.error in WRONG_TOKEN:
            _log.error("slack_app_token_refused", error=refusal.error)
            self._host.health("stopped", reason=f"Slack refuses the app_token ({refusal})")
            return None
        self._host.health("degraded", reason=f"Slack opens no socket ({refusal})")
        return refusal.retry_after_s or self._pause(self._times.longest_pause_s)

    def _after(self, reason: str, *, lived_s: float) -> float | None:
        """The pause before the next connection, by what ended the last one."""
        if reason == "link_disabled":
            _log.error("slack_socket_mode_disabled")
            self._host.health("stopped", reason="Socket Mode is switched off in the app's settings")
            return None
        if reason == "too_many_websockets":
            self._host.health("degraded", reason="over 10 sockets are open for this app")
            return self._times.crowded_s
        _log.info("slack_socket_left", reason=reason or "ended", lived_s=round(lived_s))
        if lived_s >= _STABLE_S:
            self._failures = 0
            return 0
        return self._pause(_GREETED_PAUSE_S)

    def _pause(self, longest_s: float) -> float:
        self._failures += 1
        doubled = self._times.first_pause_s * 2 ** min(self._failures - 1, 10)
        return float(min(longest_s, doubled))


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _envelope(kind: str, frame: dict[str, Any]) -> _Envelope | None:
    """An envelope, or None for a frame of a kind that carries nothing to acknowledge."""
    envelope_id, payload = frame.get("envelope_id"), frame.get("payload")
    if not isinstance(envelope_id, str):
        return None
    told = None
    if kind in KINDS and isinstance(payload, dict):
        told = Told(KINDS[kind], payload)
    return _Envelope(envelope_id, told)

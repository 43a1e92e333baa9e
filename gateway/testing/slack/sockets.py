"""Socket Mode: the app connects, and events come as envelopes over its WebSockets.

Each envelope goes to one connection, in turn; without an acknowledgement in time, or when its
connection ends, it goes to another one. An address from apps.connections.open works once. Frames
and limits from docs.slack.dev ("Using Socket Mode") and the test data of slack_sdk.
"""

import asyncio
import contextlib
import itertools
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from aiohttp import WSMessage, WSMsgType, web

from gateway.testing.errands import Errands
from gateway.testing.loopback import stall
from gateway.testing.slack.deliveries import Deliveries, Delivery, EventAttempt, EventRetry
from gateway.testing.slack.faults import refused
from gateway.testing.slack.workspaces import APP_ID
from gateway.testing.wire import JsonObject

MAX_CONNECTIONS: Final = 10
LIVES_S: Final = 18_060
"""What hello says of the time a connection will live."""

Reason = Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"]
Outcome = Literal["acknowledged", "late", "ended"]

FAILURES: Final[dict[Outcome, str]] = {
    "acknowledged": "",
    "late": "timeout",
    "ended": "connection_failed",
}


@dataclass(slots=True, eq=False)
class SocketConnection:
    """One WebSocket of the app; `is_draining` after a disconnect frame, `is_stalled` when mute.

    `pings` counts how often the app asked whether it still lives.
    """

    number: int
    socket: web.WebSocketResponse
    request: web.BaseRequest
    is_draining: bool = False
    is_stalled: bool = False
    pings: int = 0
    acknowledged: list[str] = field(default_factory=list)

    async def send(self, frame: JsonObject) -> None:
        """Send a frame; nothing reaches the other end of a stalled connection."""
        if not self.is_stalled:
            await self.socket.send_str(json.dumps(frame))

    def cut(self) -> None:
        """End the connection without a word."""
        if self.request.transport is not None:
            self.request.transport.abort()


class SocketMode:
    """The app's WebSockets and what goes over them."""

    def __init__(
        self,
        deliveries: Deliveries,
        errands: Errands,
        *,
        retry: EventRetry,
        on_change: Callable[[], None],
    ) -> None:
        self.is_enabled = True
        self.problems: list[str] = []
        self.live: list[SocketConnection] = []
        self.opened = 0
        self._deliveries = deliveries
        self._errands = errands
        self._retry = retry
        self._on_change = on_change
        self._tickets: set[str] = set()
        self._answers: dict[str, asyncio.Future[Outcome]] = {}
        self._owners: dict[str, tuple[SocketConnection, Delivery]] = {}
        self._bodies: dict[str, str] = {}
        self._turn = itertools.count()
        self._connected = asyncio.Event()
        self._carried: dict[asyncio.Task[None], Delivery] = {}

    # --- connections

    def new_ticket(self) -> str:
        """What makes an address good for one connection."""
        if not self.is_enabled:
            raise refused("socket_mode_disabled")
        ticket = uuid.uuid4().hex
        self._tickets.add(ticket)
        return ticket

    async def connect(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one WebSocket until it ends."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            self._complain("a WebSocket address was used twice, or never given out")
            return web.Response(status=403, text="ticket is not valid")
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(autoping=False, autoclose=False)
        await socket.prepare(request)
        if len(self.live) >= MAX_CONNECTIONS:
            await socket.send_str(json.dumps(_disconnect("too_many_websockets")))
            await socket.close()
            return socket
        self.opened += 1
        connection = SocketConnection(self.opened, socket, request)
        try:
            await self._serve(connection)
        finally:
            self._forget(connection)
        return socket

    async def _serve(self, connection: SocketConnection) -> None:
        await connection.send(_hello(len(self.live) + 1))
        self.live.append(connection)
        self._connected.set()
        self._on_change()
        while True:
            frame = await connection.socket.receive()
            if connection.is_stalled:
                await stall()
            if frame.type in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED}:
                await connection.socket.close()
                return
            if frame.type is WSMsgType.ERROR:
                return
            await self._read(connection, frame)

    async def _read(self, connection: SocketConnection, frame: WSMessage) -> None:
        if frame.type is WSMsgType.PING:
            connection.pings += 1
            await connection.socket.pong(frame.data)
            self._on_change()
        elif frame.type is WSMsgType.TEXT:
            self._read_answer(connection, frame.data)
        elif frame.type is not WSMsgType.PONG:
            self._complain("a frame that is not text")

    def _forget(self, connection: SocketConnection) -> None:
        if connection in self.live:
            self.live.remove(connection)
        if not self.live:
            self._connected.clear()
        for envelope_id in list(self._answers):
            if self._owners[envelope_id][0] is connection:
                self._settle(envelope_id, "ended")
        self._on_change()

    # --- envelopes

    def carry(self, delivery: Delivery) -> None:
        """Deliver over whatever connection there is, or will be."""
        task = self._errands.run(self._deliver(delivery))
        self._carried[task] = delivery
        task.add_done_callback(self._carried.pop)

    def abandon(self) -> list[Delivery]:
        """Carry nothing any more; gives what was not acknowledged."""
        left = list(self._carried.values())
        for task in self._carried:
            task.cancel()
        return left

    async def _deliver(self, delivery: Delivery) -> None:
        for wait_s in self._retry.waits_s(delivery.kind):
            await asyncio.sleep(wait_s)
            outcome: Outcome = "ended"
            while outcome == "ended":
                outcome = await self._offer(await self._next_connection(delivery), delivery)
                if delivery.kind != "events_api":
                    break
            if outcome == "acknowledged":
                return
        self._deliveries.give_up(delivery)

    async def _offer(self, connection: SocketConnection, delivery: Delivery) -> Outcome:
        """Hand it over once; "ended" when the connection did before the answer came."""
        envelope_id = str(uuid.uuid4())
        answer = self._answers[envelope_id] = asyncio.get_running_loop().create_future()
        self._owners[envelope_id] = (connection, delivery)
        start = time.monotonic()
        outcome: Outcome
        try:
            await connection.send(_envelope(envelope_id, delivery))
            async with asyncio.timeout(self._retry.answer_within_s):
                outcome = await answer
        except TimeoutError:
            outcome = "late"
        except ConnectionError:
            self._forget(connection)
            outcome = "ended"
        del self._answers[envelope_id]
        attempt = EventAttempt(
            event_id=delivery.event_id,
            at=start,
            status=200 if outcome == "acknowledged" else None,
            retry=len(delivery.attempts),
            failure=FAILURES[outcome],
            body=self._bodies.pop(envelope_id, ""),
            seconds=time.monotonic() - start,
            connection=connection.number,
        )
        self._deliveries.note(delivery, attempt)
        return outcome

    async def _next_connection(self, delivery: Delivery) -> SocketConnection:
        """The next one in turn; neither the last to fail nor one that is to go, if others are."""
        avoid = delivery.attempts[-1].connection if delivery.attempts else 0
        while True:
            await self._connected.wait()
            fresh = [c for c in self.live if not c.is_draining] or self.live
            others = [c for c in fresh if c.number != avoid] or fresh
            if others:
                return others[next(self._turn) % len(others)]
            self._connected.clear()

    def _read_answer(self, connection: SocketConnection, text: str) -> None:
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        envelope_id = answer.get("envelope_id") if isinstance(answer, dict) else None
        if not isinstance(envelope_id, str) or envelope_id not in self._owners:
            self._complain(f"an answer to no envelope: {text[:200]}")
            return
        _, delivery = self._owners[envelope_id]
        payload = answer.get("payload")
        if payload and delivery.kind == "events_api":
            self._complain("a payload in the answer to an event, which accepts none")
        connection.acknowledged.append(envelope_id)
        if payload and envelope_id in self._answers:
            self._bodies[envelope_id] = json.dumps(payload)
        self._settle(envelope_id, "acknowledged")

    def _complain(self, problem: str) -> None:
        self.problems.append(problem)
        self._on_change()

    def _settle(self, envelope_id: str, outcome: Outcome) -> None:
        answer = self._answers.get(envelope_id)
        if answer is not None and not answer.done():
            answer.set_result(outcome)

    # --- what goes wrong

    async def disconnect(self, reason: Reason, *, close_after_s: float) -> None:
        """Tell every connection to go, and close it that much later."""
        leaving = list(self.live)
        if reason == "link_disabled":
            self.is_enabled = False
        for connection in leaving:
            connection.is_draining = True
            with contextlib.suppress(ConnectionError):
                await connection.send(_disconnect(reason))
        self._errands.run(_close(leaving, close_after_s))

    def stall(self) -> None:
        """Let every connection fall silent: open, but nothing goes through in either direction."""
        for connection in self.live:
            connection.is_stalled = True

    def cut(self) -> int:
        """End every connection abruptly; gives how many."""
        cut = list(self.live)
        for connection in cut:
            connection.cut()
            self._forget(connection)
        return len(cut)


async def _close(connections: list[SocketConnection], after_s: float) -> None:
    await asyncio.sleep(after_s)
    await asyncio.gather(*(connection.socket.close() for connection in connections))


def _hello(connections: int) -> JsonObject:
    return {
        "type": "hello",
        "num_connections": connections,
        "debug_info": {"host": "applink-fake-1", "approximate_connection_time": LIVES_S},
        "connection_info": {"app_id": APP_ID},
    }


def _disconnect(reason: Reason) -> JsonObject:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-fake-1"}}


def _envelope(envelope_id: str, delivery: Delivery) -> JsonObject:
    is_event = delivery.kind == "events_api"
    earlier = delivery.attempts
    reason = earlier[-1].failure if earlier else ""
    retries = {"retry_attempt": len(earlier), "retry_reason": reason} if is_event else {}
    return {
        "envelope_id": envelope_id,
        "type": delivery.kind,
        "accepts_response_payload": not is_event,
        "payload": delivery.payload,
        **retries,
    }

"""F25: readers of a stream that stop reading in its middle, and come back later.

The bot says 640 KiB to many readers who have read the first event and nothing more. What is
held for each has to stay small, each has to be hung up on, and what each missed has to be there for
`Last-Event-ID`, once and whole.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.measures import allow_files, rss_kib
from gateway.testing.kills.settled import LOOK_AGAIN_S, wait_until_settled
from gateway.testing.kills.witness import Violation
from gateway.testing.openai.endpoint import OpenAIServer
from gateway.testing.openai.replies import Reply
from gateway.testing.scene import DESK, PATIENCE_S, Caller, over_endpoint, serving

PIECE = "0123456789abcdef" * 512
PIECES = 80
MOST_KIB = 256
CLOSED_WITHIN_S = 25.0
RECEIVE_BYTES = 4096
WARM_UP = 6
"""Turns told before, so that caches are full and what is measured belongs to the readers."""
SPARE_FILES = 200
LIMITS = "[limits]\nrequests_per_minute = 0\n"


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event as a reader got it: its id, and what it adds to the text."""

    number: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reader got: before it was hung up on, and after it came back."""

    first: Sequence[Numbered]
    rest: Sequence[Numbered]
    closed_after_s: float | None


class StalledReader:
    """Asks for the events of a turn over a bare socket, and reads nothing until it is over."""

    def __init__(self, port: int, turn: str, key: str) -> None:
        self.closed_after_s: float | None = None
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(
            f"GET /v1/turns/{turn}/events?after=0 HTTP/1.1\r\nHost: gateway\r\n"
            f"Authorization: Bearer {key}\r\n\r\n".encode()
        )
        self._began = monotonic()
        self._poll = select.poll()
        self._poll.register(self._socket, 0)

    def look(self) -> bool:
        """Whether it was hung up on by now; what it was sent stays unread."""
        if self.closed_after_s is None and self._poll.poll(0):
            self.closed_after_s = monotonic() - self._began
        return self.closed_after_s is not None

    def read(self) -> list[Numbered]:
        """The whole events among what it was sent before."""
        received = bytearray()
        self._socket.settimeout(1.0)
        try:
            while piece := self._socket.recv(65_536):
                received += piece
        except OSError:
            pass
        finally:
            self._socket.close()
        _, _, chunks = received.decode(errors="ignore").partition("\r\n\r\n")
        return events_in("".join(chunks.split("\r\n")[1::2]))


def events_in(stream: str) -> list[Numbered]:
    """The numbered events of a stream; a last one that is not whole does not count."""
    found = []
    for block in stream.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "id" in fields:
            document = json.loads(fields["data"])
            text = document["text"] if document["type"] == "message.delta" else ""
            found.append(Numbered(int(fields["id"]), text))
    return found


async def _stall(stage: Stage) -> Observation:
    count = stage.pick(50, 400)
    allow_files(count + SPARE_FILES)
    # The bot takes its time in the end, so that all readers are there when it begins.
    speech = Reply(pieces=(PIECE,) * PIECES)
    slow_speech = replace(speech, first_chunk_delay_s=stage.pick(2, 6))
    async with OpenAIServer(
        lambda call: speech if call.number <= WARM_UP else slow_speech
    ) as model:
        config = LIMITS + over_endpoint(model) + DESK
        async with serving(stage.folder, config) as (gateway, caller):
            for _ in range(WARM_UP):
                await _read_all(caller, await _long_turn(caller), after=0)
            before_kib = rss_kib(gateway.pid)
            turn = await _long_turn(caller)
            readers = [StalledReader(gateway.port, turn, caller.key) for _ in range(count)]
            most_kib = await _wait_until_closed(readers, gateway.pid)
            stage.tell(f"{sum(reader.look() for reader in readers)} of {count} hung up on")
            readings = [await _come_back(caller, turn, reader) for reader in readers]
            found = await wait_until_settled(gateway, patience_s=PATIENCE_S)
    kib_each = (most_kib - before_kib) / count
    missed = sum(len(reading.rest) for reading in readings)
    longest_s = max(reading.closed_after_s or 0.0 for reading in readings)
    seen = (
        f"{count} readers, {kib_each:.0f} KiB each, hung up on within {longest_s:.1f} s,"
        f" {missed} missed events read later"
    )
    return Observation(seen, [*judge_memory(kib_each), *judge_readings(readings), *found])


def judge_memory(kib_each: float) -> list[Violation]:
    """What may be held for a reader, beside what the system holds for its socket."""
    if kib_each <= MOST_KIB:
        return []
    promise = f"at most {MOST_KIB} KiB are held for a reader"
    return [Violation(promise, "memory", f"{kib_each:.0f} KiB")]


def judge_readings(readings: Sequence[Reading]) -> list[Violation]:
    """Each was hung up on in time, and got everything once in the end."""
    found = []
    for number, reading in enumerate(readings, 1):
        where = f"reader {number}"
        closed_s = reading.closed_after_s
        if closed_s is None or closed_s > CLOSED_WITHIN_S:
            seen = "never" if closed_s is None else f"after {closed_s:.1f} s"
            found.append(Violation("who does not read is hung up on", where, seen))
        events = [*reading.first, *reading.rest]
        numbers = [event.number for event in events]
        if numbers != sorted(set(numbers)):
            found.append(Violation("no event comes twice", where, f"{numbers}"[:200]))
        text = "".join(event.text for event in events)
        if text != PIECE * PIECES:
            seen = f"{len(text)} of {len(PIECE) * PIECES} letters"
            found.append(Violation("who comes back misses nothing", where, seen))
    return found


async def _long_turn(caller: Caller) -> str:
    """A turn that is going to be long, told piece by piece; nobody reads it yet."""
    body = {"input": "Tell me everything", "stream": True}
    async with caller.client.post(f"{caller.url}/v1/chat", json=body) as answer:
        return answer.headers["Location"].rpartition("/")[2]


async def _wait_until_closed(readers: Sequence[StalledReader], pid: int) -> int:
    """Wait until all were hung up on, or time is over; the most memory seen meanwhile."""
    most_kib, deadline = rss_kib(pid), monotonic() + CLOSED_WITHIN_S
    while sum(reader.look() for reader in readers) < len(readers) and monotonic() < deadline:
        await asyncio.sleep(LOOK_AGAIN_S)
        most_kib = max(most_kib, rss_kib(pid))
    return most_kib


async def _come_back(caller: Caller, turn: str, reader: StalledReader) -> Reading:
    first = await asyncio.to_thread(reader.read)
    after = first[-1].number if first else 0
    return Reading(first, await _read_all(caller, turn, after=after), reader.closed_after_s)


async def _read_all(caller: Caller, turn: str, *, after: int) -> list[Numbered]:
    """The events of a turn above a number, up to its end."""
    headers = {"Last-Event-ID": str(after)}
    async with caller.client.get(f"{caller.url}/v1/turns/{turn}/events", headers=headers) as answer:
        return events_in(await answer.text())


STALLED_READERS = Fault(
    id="F25",
    name="readers that stop reading",
    promise="256 KiB each, then closed; nothing missed",
    injected="readers of 640 KiB who read nothing",
    run=_stall,
)

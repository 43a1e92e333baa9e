"""F27: what is too large is refused quickly, in shape, and without room being made for it.

Requests over every bound (body, headers, request line, depth, members, claimed uploads, compressed
bombs, bodies without an end) go to the native API, the chat page and the Telegram webhook, byte for
byte over plain sockets, in several rounds. Of each the quickest refusal is judged, less the time in
which no processor was free for the gateway: other work on the machine only ever adds, so this says
most about the gateway. Its memory is the highest the system has seen during a request (`VmHWM` of
Linux), against what it was before; and rounds on end must not make it grow.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.testing.faults.fault import CannotRun, Fault, Observation, Stage
from gateway.testing.faults.props.measures import cpu_wait_s, rss_kib
from gateway.testing.faults.props.oversized_requests import Door, Oversized, requests_to
from gateway.testing.faults.props.raw_http import Heard, send_raw
from gateway.testing.faults.props.raw_webhook import SECRET_HEADER, RawWebhook
from gateway.testing.kills.settled import errors_in_log, wait_until_settled
from gateway.testing.kills.witness import Violation
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import (
    DESK,
    PATIENCE_S,
    SCRIPTED,
    SECRET,
    Caller,
    UnexpectedAnswer,
    on_telegram,
    serving,
)
from gateway.testing.telegram.endpoint import TelegramServer

PROBLEM: Final = "application/problem+json"
WITHIN_MS: Final = 100.0
MOST_MIB: Final = 20.0
WARM_UP: Final = 30


@dataclass(frozen=True, slots=True)
class Tried:
    """One try of an oversized request: the answer, the gateway's own time, the memory it took."""

    request: Oversized
    answer: Heard
    own_s: float
    grown_kib: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """All tries, and how much memory stayed taken after the first round."""

    tried: Sequence[Tried]
    kept_mib: float

    def quickest_ms(self) -> dict[Oversized, float]:
        """The time of the quickest refusal of each request."""
        times: dict[Oversized, list[float]] = defaultdict(list)
        for each in self.tried:
            if each.answer.status >= 400:
                times[each.request].append(each.own_s * 1000)
        return {request: min(values) for request, values in times.items()}

    @property
    def grown_mib(self) -> float:
        """The most memory that one request took."""
        return max(each.grown_kib for each in self.tried) / 1024


def judge_sizes(sizes: Sizes) -> list[Violation]:
    """Answers that are wrong, out of shape or late, and memory that was taken."""
    late = f"refused within {WITHIN_MS:.0f} ms"
    large = f"it costs less than {MOST_MIB:.0f} MiB"
    found = [
        *(
            Violation("what is too large is refused", each.request.place, fault)
            for each in sizes.tried
            if (fault := _fault(each)) is not None
        ),
        *(
            Violation(late, request.place, f"{quickest_ms:.0f} ms at best")
            for request, quickest_ms in sizes.quickest_ms().items()
            if quickest_ms > WITHIN_MS
        ),
        *(
            Violation(large, each.request.place, f"{each.grown_kib / 1024:.1f} MiB")
            for each in sizes.tried
            if each.grown_kib > MOST_MIB * 1024
        ),
    ]
    if sizes.kept_mib > MOST_MIB:
        seen = f"{sizes.kept_mib:.1f} MiB more after the last round than after the first"
        found.append(Violation("memory is given back", "memory", seen))
    return found


def _fault(tried: Tried) -> str | None:
    answer, request = tried.answer, tried.request
    if answer.status not in request.statuses:
        return f"{answer.status} instead of {sorted(request.statuses)}"
    media = answer.headers.get("content-type", "")
    if answer.status >= 400 and request.door.speaks_problems and not media.startswith(PROBLEM):
        return f"{answer.status} answered as {media!r}"
    return None


async def _run(stage: Stage) -> Observation:
    async with TelegramServer() as telegram:
        config = SCRIPTED + DESK + on_telegram(telegram)
        async with serving(stage.folder, config) as (gateway, caller):
            await telegram.wait_for_calls("setWebhook", timeout_s=PATIENCE_S)
            doors = _doors(caller, RawWebhook(caller.client, telegram), gateway)
            for number in range(WARM_UP):
                await caller.say(f"Hello {number}")
            requests = [request for door in doors for request in requests_to(door)]
            sizes = await _play(requests, gateway, stage)
            found = judge_sizes(sizes)
            await caller.say("Still there?")
            found += await wait_until_settled(gateway, patience_s=PATIENCE_S)
            found += errors_in_log(gateway.log)
    slowest_ms = max(sizes.quickest_ms().values())
    seen = f"{len(requests)} requests, {slowest_ms:.0f} ms and {sizes.grown_mib:.1f} MiB at most"
    return Observation(seen, found)


async def _play(requests: Sequence[Oversized], gateway: GatewayProcess, stage: Stage) -> Sizes:
    tried: list[Tried] = []
    first_kib = last_kib = 0
    rounds = stage.pick(3, 30)
    for number in range(rounds):
        stage.tell(f"round {number + 1} of {rounds}")
        tried += [await _try(request, gateway) for request in requests]
        last_kib = rss_kib(gateway.pid)
        first_kib = first_kib or last_kib
    return Sizes(tried, kept_mib=(last_kib - first_kib) / 1024)


def _doors(caller: Caller, webhook: RawWebhook, gateway: GatewayProcess) -> list[Door]:
    path = webhook.address.removeprefix(gateway.url)
    return [
        Door("REST", "/v1/chat", f"Authorization: Bearer {caller.key}\r\n"),
        Door("talk", "/talk/support/session", "", max_bytes=4096),
        Door("webhook", path, f"{SECRET_HEADER}: {SECRET}\r\n", speaks_problems=False),
    ]


async def _try(request: Oversized, gateway: GatewayProcess) -> Tried:
    before_kib, waited_s = _forget_peak(gateway.pid), cpu_wait_s(gateway.pid)
    try:
        async with asyncio.timeout(PATIENCE_S):
            answer = await send_raw(gateway.port, request.pieces())
    except (TimeoutError, ConnectionError, asyncio.IncompleteReadError) as error:
        raise UnexpectedAnswer(f"{request.place}: none at all ({error!r})") from error
    waited_s = cpu_wait_s(gateway.pid) - waited_s
    grown_kib = _peak_kib(gateway.pid) - before_kib
    own_s = max(0.0, answer.seconds - waited_s)
    return Tried(request, answer, own_s=own_s, grown_kib=grown_kib)


def _forget_peak(pid: int) -> int:
    """Let the system measure the peak anew (proc(5), /proc/PID/clear_refs); the memory now."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError as error:
        raise CannotRun(f"the peak of the memory cannot be measured: {error}") from error
    return rss_kib(pid)


def _peak_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise CannotRun(f"/proc/{pid}/status does not tell the peak of the memory")


OVERSIZE: Final = Fault(
    id="F27",
    name="oversize",
    promise="413, 431 or 400 in 100 ms, less than 20 MiB",
    injected="bodies, headers, depth, members, bombs, no end",
    run=_run,
)

"""F17: what is acknowledged is on the disk. The system calls of a gateway under load are the proof.

Each message carries words of its own. In the trace they are seen coming in, then in a page that is
written to the write-ahead log; a sync of that log has to begin after this and to end before the
acknowledgement leaves: the answer on the same connection, or the offset of the next poll. Many come
at once, so that one sync serves several.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.testing.faults.fault import CannotRun, Fault, Observation, Stage
from gateway.testing.kills.settled import wait_until_settled
from gateway.testing.kills.witness import Violation
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, SCRIPTED, Caller, calling, on_telegram
from gateway.testing.telegram.endpoint import TelegramServer

PROMISE: Final = "stored on the disk before it is acknowledged"
POLLED_AT_ONCE: Final = 8
"""Updates of one poll: few enough that their answer is read in one call."""
OTHER_BOT: Final = "987654321:AAFakeTokenOfAnotherFakeTelegram00"
LETTERS: Final = 16_384
"""How much of each buffer is traced: a page of the database, any request or answer of the load."""

_READS: Final = frozenset({"recvfrom", "recvmsg", "read"})
_SENDS: Final = frozenset({"sendto", "sendmsg", "write", "writev"})
_CALLS: Final = (*sorted(_READS | _SENDS), "pwrite64", "fdatasync", "fsync")
_LINE: Final = re.compile(r"(?P<thread>\d+) +(?P<text>.*)")
_RESUMED: Final = re.compile(r"<\.\.\. \w+ resumed>(?P<text>.*)")
_UNFINISHED: Final = " <unfinished ...>"
_CALL: Final = re.compile(r"(?P<name>\w+)\(\d+<(?P<place>.*?)>(?=[,)])")
_SUCCESS: Final = re.compile(r"HTTP/1\.1 2\d\d ")
_POLL: Final = re.compile(r"/getUpdates\?\S*\boffset=(?P<offset>\d+)")


@dataclass(frozen=True, slots=True)
class Traced:
    """A message to look for: words that no other has; `update_id` if it is polled for."""

    words: str
    update_id: int | None = None


@dataclass(frozen=True, slots=True)
class SystemCall:
    """A call that ended, with its lines in the trace; `place` is what its descriptor leads to."""

    name: str
    place: str
    text: str
    began: int
    ended: int


@dataclass(frozen=True, slots=True)
class SyncVerdict:
    """Syncs of the log that were seen, and every message that none of them covers."""

    syncs: int
    violations: Sequence[Violation]


def judge_trace(lines: Sequence[str], messages: Sequence[Traced]) -> SyncVerdict:
    """Whether each message was on the disk before it was acknowledged."""
    calls = read_trace(lines)
    syncs = [call for call in calls if _is_sync(call)]
    violations = []
    for message in messages:
        missing = _missing(message, calls, syncs)
        if missing is not None:
            violations.append(Violation(PROMISE, message.words, missing))
    return SyncVerdict(len(syncs), violations)


def read_trace(lines: Sequence[str]) -> list[SystemCall]:
    """The calls of a trace by `strace -f -yy`, in the order in which they began."""
    open_calls: dict[str, tuple[int, str]] = {}
    calls = []
    for number, line in enumerate(lines):
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        thread, text, began = found["thread"], found["text"], number
        if text.endswith(_UNFINISHED):
            open_calls[thread] = (number, text.removesuffix(_UNFINISHED))
            continue
        resumed = _RESUMED.fullmatch(text)
        if resumed is not None and thread in open_calls:
            began, start = open_calls.pop(thread)
            text = start + resumed["text"]
        call = _CALL.match(text)
        if call is not None:
            calls.append(SystemCall(call["name"], call["place"], text, began, number))
    return sorted(calls, key=lambda one: one.began)


def _missing(
    message: Traced, calls: Sequence[SystemCall], syncs: Sequence[SystemCall]
) -> str | None:
    """What is wrong with a message, or None."""
    heard = next((c for c in calls if c.name in _READS and message.words in c.text), None)
    if heard is None:
        return "it is not seen coming in"
    answer = next((call for call in calls if _acknowledges(call, message, heard)), None)
    if answer is None:
        return "it is not seen being acknowledged"
    written = next((call for call in calls if _holds(call, message)), None)
    if written is None or written.ended > answer.began:
        return "it was acknowledged before it was written to the log"
    if not any(sync.began > written.ended and sync.ended < answer.began for sync in syncs):
        return "it was acknowledged before the log was synced"
    return None


def _acknowledges(call: SystemCall, message: Traced, heard: SystemCall) -> bool:
    if call.name not in _SENDS or call.began < heard.ended:
        return False
    if message.update_id is None:
        return call.place == heard.place and _SUCCESS.search(call.text) is not None
    poll = _POLL.search(call.text)
    return poll is not None and int(poll["offset"]) > message.update_id


def _holds(call: SystemCall, message: Traced) -> bool:
    return call.name == "pwrite64" and call.place.endswith("-wal") and message.words in call.text


def _is_sync(call: SystemCall) -> bool:
    is_sync = call.name in ("fdatasync", "fsync") and call.place.endswith("-wal")
    return is_sync and call.text.endswith(" = 0")


@asynccontextmanager
async def traced(gateway: GatewayProcess, to: Path) -> AsyncIterator[None]:
    """Write down the system calls of a running gateway; raises CannotRun where nobody may."""
    tracer = await asyncio.create_subprocess_exec(
        *(shutil.which("strace") or "strace", "-f", "-yy", "-s", str(LETTERS)),
        *("-p", str(gateway.pid), "-o", str(to), "-e", f"trace={','.join(_CALLS)}"),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    if tracer.stderr is None:
        raise CannotRun("strace says nothing")
    async with asyncio.timeout(PATIENCE_S):
        first = await tracer.stderr.readline()
    if b"attached" not in first:
        await tracer.wait()
        raise CannotRun(f"strace may not attach here: {first.decode(errors='replace').strip()}")
    try:
        yield
    finally:
        tracer.terminate()
        await tracer.communicate()


async def _run(stage: Stage) -> Observation:
    trace, count = stage.folder / "trace", stage.pick(24, 200)
    async with TelegramServer() as posting, TelegramServer(token=OTHER_BOT) as polled:
        config = SCRIPTED + DESK + on_telegram(posting)
        config += on_telegram(polled, receive="polling", name="polled")
        async with GatewayProcess(stage.folder, config=config) as gateway:
            key = await gateway.create_key()
            await gateway.start()
            await posting.wait_for_calls("setWebhook", timeout_s=PATIENCE_S)
            await polled.wait_for_calls("getUpdates", timeout_s=PATIENCE_S)
            async with calling(gateway, key) as caller, traced(gateway, trace):
                said = await asyncio.gather(
                    _call(caller, count), _post(posting, count), _let_poll(polled, count)
                )
                # Answered only after the last acknowledgement was written, and so traced.
                await caller.get("/v1/bots")
            messages = [message for each in said for message in each]
            found = await wait_until_settled(gateway, patience_s=PATIENCE_S)
    stage.tell("reading the trace")
    verdict = judge_trace(trace.read_text(errors="replace").splitlines(), messages)
    covered = len(messages) - len(verdict.violations)
    seen = f"{covered} of {len(messages)} messages covered by {verdict.syncs} syncs"
    return Observation(seen, [*verdict.violations, *found])


async def _call(caller: Caller, count: int) -> list[Traced]:
    """Callers over REST, all at once."""
    words = [f"rest {number:04} ends" for number in range(count)]
    await asyncio.gather(*(caller.say(text, background=True) for text in words))
    return [Traced(text) for text in words]


async def _post(telegram: TelegramServer, count: int) -> list[Traced]:
    """Webhook calls for as many chats, all at once."""
    words = [f"webhook {number:04} ends" for number in range(count)]
    for chat, text in enumerate(words, start=1):
        telegram.post_text(chat, chat, text)
    await telegram.wait_until_confirmed(timeout_s=PATIENCE_S)
    return [Traced(text) for text in words]


async def _let_poll(telegram: TelegramServer, count: int) -> list[Traced]:
    """Updates to be polled for, in waves."""
    messages = []
    for number in range(count):
        text = f"polled {number:04} ends"
        update = telegram.post_text(1 + number % POLLED_AT_ONCE, 1, text)
        messages.append(Traced(text, update["update_id"]))
        if (number + 1) % POLLED_AT_ONCE == 0:
            await telegram.wait_until_confirmed(timeout_s=PATIENCE_S)
    await telegram.wait_until_confirmed(timeout_s=PATIENCE_S)
    return messages


SYNCED: Final = Fault(
    id="F17",
    name="the disk is asked",
    promise="fdatasync between receiving and acknowledging each",
    injected="system calls traced under webhook, polling and REST",
    run=_run,
    needs=("strace",),
)

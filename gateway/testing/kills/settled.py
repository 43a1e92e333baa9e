"""When a gateway has come to rest, and what can then be read of it: its history, its log.

Asks only what any caller or operator could ask: the API, and the commands.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

import aiohttp

from gateway.domain.channels import BUILT_IN_CHANNELS
from gateway.testing.kills.history import Line
from gateway.testing.kills.witness import Entry, Transcript, Violation
from gateway.testing.process import GatewayProcess

UNSETTLED: Final = ("pending", "sending", "open", "ambiguous")
ERROR_LEVELS: Final = frozenset({"error", "critical"})
GIVEN_UP: Final = "poison"
LOOK_AGAIN_S: Final = 0.2
READS_AT_ONCE: Final = 8


async def wait_until_settled(gateway: GatewayProcess, *, patience_s: float) -> list[Violation]:
    """Wait until no turn and no delivery is under way, then verify the store.

    Gives what is still under way when nothing has moved for that long, and every finding.
    """
    last, moved_at = _under_way(await gateway.run_json("status")), monotonic()
    while last and monotonic() - moved_at < patience_s:
        await asyncio.sleep(LOOK_AGAIN_S)
        now = _under_way(await gateway.run_json("status"))
        if now != last:
            last, moved_at = now, monotonic()
    stuck = [Violation("everything comes to rest", "store", f"for {patience_s:.0f} s: {last}")]
    return (stuck if last else []) + await verify(gateway)


async def verify(gateway: GatewayProcess) -> list[Violation]:
    """What `bot-gateway verify` finds; it ends with 1 when that is anything."""
    code, output, errors = await gateway.run("verify", "--json")
    if code not in (0, 1):
        return [Violation("verify runs", "store", f"it ended with {code}: {errors[-500:]}")]
    findings = json.loads(output)["findings"]
    return [
        Violation(
            "verify finds nothing", str(each["where"]), f"{each['invariant']}: {each['detail']}"
        )
        for each in findings
    ]


async def read_transcripts(client: aiohttp.ClientSession, url: str) -> list[Transcript]:
    """Every session the caller's key may see, with all messages people see."""
    sessions = await _pages(client, f"{url}/v1/sessions")
    reads = asyncio.Semaphore(READS_AT_ONCE)

    async def read(session: str) -> Transcript:
        async with reads:
            return await read_transcript(client, url, session)

    return await asyncio.gather(*(read(str(session["id"])) for session in sessions))


async def read_transcript(client: aiohttp.ClientSession, url: str, session: str) -> Transcript:
    """One session, with all messages people see."""
    messages = await _pages(client, f"{url}/v1/sessions/{session}/messages")
    return Transcript(session, [_entry(message) for message in messages])


def lines_of(transcript: Transcript) -> tuple[Line, ...]:
    """The transcript as the history check takes it: an answer names what it answers."""
    asked: dict[str | None, str] = {}
    lines = []
    for entry in transcript.entries:
        if entry.role == "user":
            asked.setdefault(entry.turn_id, entry.text)
            lines.append(Line(entry.text))
        elif entry.role == "assistant":
            lines.append(Line(entry.text, asked.get(entry.turn_id, "")))
    return tuple(lines)


async def read_given_up(
    client: aiohttp.ClientSession, url: str, transcripts: Sequence[Transcript], *, apology: str
) -> set[str]:
    """The turns without a good answer that the API says were given up as poison."""
    entries = [entry for transcript in transcripts for entry in transcript.entries]
    asked = {entry.turn_id for entry in entries if entry.role == "user"}
    answered = {
        entry.turn_id for entry in entries if entry.role == "assistant" and entry.text != apology
    }
    found = set()
    for turn_id in asked - answered:
        async with client.get(f"{url}/v1/turns/{turn_id}") as answer:
            error = (await answer.json()).get("error")
        if turn_id is not None and error is not None and error["code"] == GIVEN_UP:
            found.add(turn_id)
    return found


def errors_in_log(log: str) -> list[Violation]:
    """Lines of a log that speak of an error or show a trace; a kill may cut a line short."""
    found = []
    for line in log.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            event = {"level": "error" if "Traceback" in line else ""}
        if isinstance(event, dict) and event.get("level") in ERROR_LEVELS:
            found.append(Violation("nothing goes wrong unseen", "log", line[:300]))
    return found


async def _pages(client: aiohttp.ClientSession, address: str) -> list[dict[str, Any]]:
    """All items of a list, oldest first."""
    items: list[dict[str, Any]] = []
    query = {"limit": "100", "order": "asc"}
    while True:
        async with client.get(address, params=query) as answer:
            answer.raise_for_status()
            page = await answer.json()
        items += page["data"]
        if not page["has_more"]:
            return items
        query["cursor"] = page["next_cursor"]


def _entry(message: dict[str, Any]) -> Entry:
    text = "".join(part.get("text", "") for part in message["content"])
    is_pulled = message["channel"] in BUILT_IN_CHANNELS or message["delivery"] is None
    delivery = None if is_pulled else str(message["delivery"]["status"])
    return Entry(str(message["role"]), text, message["turn_id"], delivery)


def _under_way(status: dict[str, Any]) -> dict[str, int]:
    """What is not at rest, by name; empty when all is."""
    turns = {f"turns {state}": status["turns"][state] for state in ("queued", "running")}
    parts = {f"deliveries {state}": status["deliveries"].get(state, 0) for state in UNSETTLED}
    return {name: count for name, count in {**turns, **parts}.items() if count}

"""`bot-gateway dlq`: dead letters, looked at, sent again, or given up.

Works beside a running daemon, which sends what is replayed within a moment, and without one.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, get_args

import click
from rich.console import Console
from rich.text import Text

from gateway.cli.call import Call, Function, common_options, config_option, examples
from gateway.cli.configuration import read_config
from gateway.cli.failures import EXIT_FAILED, UsageProblem
from gateway.cli.screen import add_row, as_json, print_json, print_list, screen, shown, table
from gateway.daemon.beside import Desk, beside
from gateway.service.dead_letters import (
    DeadDelivery,
    DeadLetter,
    Decided,
    Detail,
    LetterState,
    UnreadableEvent,
    Which,
)

Value = TypeVar("Value")

SHOWN_RAW_BYTES = 2_000
STATE_STYLES = {"held": "yellow", "dead": "red", "expired": "red", "unreadable": "magenta"}
OUTCOME_STYLES = {"left as it was": "yellow"}


def _which_options(function: Function) -> Function:
    """Let a command take `--state` and `--channel`."""
    states = click.Choice(get_args(LetterState))
    function = click.option("--channel", help="Only of this channel.")(function)
    return click.option("--state", type=states, help="Only these.")(function)


@click.group("dlq")
@config_option
def command() -> None:
    """Dead letters: replies that were given up, events that could not be read.

    held: nobody knows whether it was delivered. dead: refused for good. expired: could not be
    delivered for a day. unreadable: came from a platform and means nothing to this version.
    """


@command.command(
    "list",
    epilog=examples("bot-gateway dlq list", "bot-gateway dlq list --state held --channel tg"),
)
@_which_options
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@common_options
def list_letters(call: Call, state: LetterState | None, channel: str | None, limit: int) -> None:
    """List dead letters, the newest first."""
    which = Which(state=state, channel=channel)
    found = _at_desk(call, lambda desk: desk.dead_letters.letters(which, limit=limit))
    if call.wants_json:
        print_json([_summary(letter) for letter in found])
    elif not found:
        click.echo("There are no such dead letters.")
    else:
        rows = table(None, "id", "kind", "state", "channel", "where to", "since", "why")
        for each in found:
            state_text = Text(each.state, style=STATE_STYLES.get(each.state, ""))
            place = (each.channel, each.place, each.since, each.reason)
            add_row(rows, each.id, each.kind, state_text, *place)
        print_list(rows)


@command.command("show", epilog=examples("bot-gateway dlq show dlv_01k…"))
@click.argument("identifier", metavar="ID")
@common_options
def show(call: Call, identifier: str) -> None:
    """Show everything about one: its text or bytes, what went wrong, what a replay would do."""
    found = _at_desk(call, lambda desk: desk.dead_letters.detail(identifier))
    if call.wants_json:
        print_json(_document(found))
    else:
        _show(screen(), found)


@command.command(
    "replay",
    epilog=examples(
        "bot-gateway dlq replay dlv_01k…",
        "bot-gateway dlq replay --all --state expired --channel tg",
    ),
)
@click.argument("identifiers", metavar="[ID]...", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="All of them, narrowed by the next two.")
@_which_options
@common_options
@click.pass_context
def replay(
    ctx: click.Context, call: Call, /, identifiers: tuple[str, ...], **options: object
) -> None:
    """Send parts again, each at the end of what waits for its chat.

    Later parts of the same reply that were given up because of it go along. A person may get a held
    part twice. A running daemon sends them within a moment; without one they wait for its start.
    """
    which = _chosen(identifiers, **options)

    async def act(desk: Desk) -> tuple[list[Decided], bool]:
        letters = desk.dead_letters
        if which is not None:
            decided = await letters.replay_all(which)
        else:
            decided = await letters.replay(identifiers)
        return decided, (await desk.operations.status()).is_running

    decided, is_running = _at_desk(call, act)
    _tell(call, decided, nothing="There was nothing to replay.")
    if not is_running and not call.wants_json and any(each.is_done for each in decided):
        click.echo("No gateway runs here: what was replayed goes out when one starts.")
    _leave(ctx, decided)


@command.command(
    "drop",
    epilog=examples(
        "bot-gateway dlq drop dlv_01k… dlv_01m…", "bot-gateway dlq drop --all --state dead --yes"
    ),
)
@click.argument("identifiers", metavar="[ID]...", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="All of them, narrowed by the next two.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_which_options
@common_options
@click.pass_context
def drop(
    ctx: click.Context, call: Call, /, identifiers: tuple[str, ...], yes: bool, **options: object
) -> None:
    """Give dead letters up for good; they stay in history, as cancelled."""
    which = _chosen(identifiers, **options)
    if not yes:
        _confirm(call, which, identifiers)

    async def act(desk: Desk) -> list[Decided]:
        if which is not None:
            return await desk.dead_letters.drop_all(which)
        return await desk.dead_letters.drop(identifiers)

    decided = _at_desk(call, act)
    _tell(call, decided, nothing="There was nothing to drop.")
    _leave(ctx, decided)


def _at_desk(call: Call, ask: Callable[[Desk], Awaitable[Value]]) -> Value:
    """Ask the services beside whatever runs."""
    config = read_config(call)

    async def asked() -> Value:
        async with beside(config) as desk:
            return await ask(desk)

    return asyncio.run(asked())


def _chosen(
    identifiers: Sequence[str], *, is_all: object, state: object, channel: object
) -> Which | None:
    """The filter of `--all`; None = the ids are meant. Raises UsageProblem when it is neither."""
    if bool(is_all) == bool(identifiers):
        raise UsageProblem("name the ids, or say --all")
    if identifiers and (state or channel):
        raise UsageProblem("--state and --channel belong to --all")
    if not is_all:
        return None
    known = next((each for each in get_args(LetterState) if each == state), None)
    return Which(state=known, channel=None if channel is None else str(channel))


def _confirm(call: Call, which: Which | None, identifiers: Sequence[str]) -> None:
    """Ask on a terminal about any there are.

    Raises UsageProblem where nobody can be asked, NotFound and Conflict where an id that is named
    is no dead letter, ClickException on a no.
    """
    if not sys.stdin.isatty():
        raise UsageProblem("nobody can be asked here; add --yes")

    async def count_them(desk: Desk) -> int:
        if which is not None:
            return await desk.dead_letters.count(which)
        return await desk.dead_letters.count_named(identifiers)

    count = _at_desk(call, count_them)
    question = f"Give up {count} dead letter{'s' if count != 1 else ''} for good?"
    if count and not click.confirm(question):
        raise click.ClickException("nothing was dropped")


def _tell(call: Call, decided: Sequence[Decided], *, nothing: str) -> None:
    """Print what became of each."""
    if call.wants_json:
        print_json([_outcome(each) for each in decided])
    elif not decided:
        click.echo(nothing)
    else:
        rows = table(None, "id", "what happened", "note")
        for each in decided:
            outcome = Text(each.outcome, style=OUTCOME_STYLES.get(each.outcome, "green"))
            add_row(rows, each.id, outcome, each.note)
        print_list(rows)


def _leave(ctx: click.Context, decided: Sequence[Decided]) -> None:
    """End with exit code 1 when one that was named stayed as it was."""
    ctx.exit(0 if all(each.is_done for each in decided) else EXIT_FAILED)


def _outcome(decided: Decided) -> dict[str, object]:
    return {"id": decided.id, "outcome": decided.outcome, "note": decided.note}


def _summary(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.id,
        "kind": letter.kind,
        "state": letter.state,
        "channel": letter.channel,
        "where": letter.place,
        "since": letter.since,
        "reason": letter.reason,
    }


def _document(found: Detail) -> dict[str, object]:
    more: dict[str, object] = {}
    if found.delivery is not None:
        more = dict(_delivery_facts(found.delivery))
        more["takes_along"] = found.takes_along
    elif found.event is not None:
        more = dict(_event_facts(found.event))
        more["raw"] = _readable(found.event.raw)
    decisions = [as_json(decision) for decision in found.decisions]
    return {**_summary(found.letter), **more, "replay": found.replay, "decisions": decisions}


def _delivery_facts(dead: DeadDelivery) -> dict[str, object]:
    delivery = dead.delivery
    return {
        "project": delivery.project_id,
        "session_id": delivery.session_id,
        "turn_id": delivery.turn_id,
        "message_id": dead.message_id,
        "part_no": delivery.part_no,
        "attempts": delivery.attempts,
        "provider_id": delivery.provider_id,
        "created_at": delivery.created_at,
        "last_tried_at": delivery.sent_started_at,
        "part": delivery.part,
    }


def _event_facts(event: UnreadableEvent) -> dict[str, object]:
    return {
        "project": event.project_id,
        "account": event.account,
        "event_id": event.event_id,
        "size_bytes": len(event.raw),
    }


def _show(console: Console, found: Detail) -> None:
    letter = found.letter
    facts = table(None, letter.id, f"{letter.kind}, {letter.state}")
    add_row(facts, "why", letter.reason)
    add_row(facts, "since", letter.since)
    if found.delivery is not None:
        add_row(facts, "where to", f"{letter.channel}, chat {letter.place}")
        for name, value in _delivery_facts(found.delivery).items():
            if name != "part":
                add_row(facts, name.replace("_", " "), value)
        add_row(facts, "goes along", found.takes_along)
    elif found.event is not None:
        for name, value in _event_facts(found.event).items():
            add_row(facts, name.replace("_", " "), value)
    add_row(facts, "replay would", found.replay)
    for decision in found.decisions:
        add_row(facts, decision.action.replace("_", " "), _told(decision.detail, decision.at))
    console.print(facts)
    console.print(Text(_content(found)))


def _told(detail: object, at: object) -> str:
    known = detail if isinstance(detail, dict) else {}
    before = ", ".join(f"{name} {shown(value)}" for name, value in known.items())
    return f"{shown(at)} (before: {before})"


def _content(found: Detail) -> str:
    """What it says: the text of a part, else its whole document; the beginning of raw bytes."""
    if found.delivery is not None:
        part = found.delivery.delivery.part
        text = part.get("text")
        whole = json.dumps(as_json(part), ensure_ascii=False, indent=2)
        return _safe(text) if isinstance(text, str) else whole
    raw = found.event.raw if found.event is not None else b""
    cut = len(raw) - SHOWN_RAW_BYTES
    more = f"\n... and {cut} bytes more (--json shows all)" if cut > 0 else ""
    return _readable(raw[:SHOWN_RAW_BYTES]) + more


def _readable(raw: bytes) -> str:
    r"""Bytes as text in which nothing moves a cursor or changes a colour.

    >>> _readable(b'{"a": "\x1b[31m\xff"}')
    '{"a": "\\x1b[31m\\xff"}'
    """
    return _safe(raw.decode(errors="backslashreplace"))


def _safe(text: str) -> str:
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text
    )

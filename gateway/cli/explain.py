"""`bot-gateway explain`: everything that happened to a message, turn, session or delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

import click
from rich.text import Text
from rich.tree import Tree

from gateway.cli.call import Call, common_options, examples
from gateway.cli.configuration import read_config
from gateway.cli.screen import as_json, print_json, screen, shown
from gateway.config.values import Config
from gateway.daemon.beside import beside
from gateway.service.operations import Explanation, Step, TurnStory

KIND_STYLES = {
    "received": "cyan",
    "message": "green",
    "handoff": "magenta",
    "tool": "yellow",
    "delivery": "blue",
    "decision": "bold yellow",
}
SHOWN_TEXT_CHARS = 300

_ENDING = {
    "final_agent": "answered by {}",
    "duration_ms": "took {} ms",
    "input_tokens": "{} tokens in",
    "output_tokens": "{} tokens out",
    "error": "error {}",
}
_SENDING = {"chat": "chat {}", "provider_id": "there known as {}", "next_at": "next try {}"}
"""Facts of a step and how they are told."""


@click.command(
    "explain",
    epilog=examples("bot-gateway explain ses_01k…", "bot-gateway explain turn_01k… --json"),
)
@click.argument("identifier", metavar="ID")
@common_options
def command(call: Call, identifier: str) -> None:
    """Show everything that happened to a message, turn, session or delivery, in order.

    Attempts, model calls and tokens, tool calls with arguments and results, hand-offs, messages,
    deliveries with their tries and errors.
    """
    found = asyncio.run(_explain(read_config(call), identifier))
    if call.wants_json:
        print_json(_document(found))
    else:
        screen().print(_tree(found))


async def _explain(config: Config, identifier: str) -> Explanation:
    async with beside(config) as desk:
        return await desk.operations.explain(identifier)


def _document(found: Explanation) -> dict[str, object]:
    session = found.session
    return {
        "id": found.asked,
        "session": {
            "id": session.id,
            "project": session.project_id,
            "bot": session.bot,
            "channel": session.channel,
            "participant_id": session.participant_id,
            "status": session.status,
            "agent": session.agent,
        },
        "turns": [
            {
                "id": story.turn.id,
                "seq": story.turn.seq,
                "kind": story.turn.kind,
                "state": story.turn.state,
                "attempts": story.turn.attempts,
                "created_at": story.turn.created_at,
                "steps": [as_json(step) for step in story.steps],
            }
            for story in found.stories
        ],
    }


def _tree(found: Explanation) -> Tree:
    session = found.session
    head = Text.assemble(
        (session.id, "bold"),
        f"  bot {session.bot}, channel {session.channel}, {session.participant_id},"
        f" {session.status}",
    )
    tree = Tree(head, guide_style="dim")
    for story in found.stories:
        _add_turn(tree, story, asked=found.asked)
    return tree


def _add_turn(tree: Tree, story: TurnStory, *, asked: str) -> None:
    turn = story.turn
    when = shown(turn.created_at)
    title = Text.assemble((turn.id, "bold"), f"  {turn.kind} {turn.seq}, {turn.state}, {when}")
    branch = tree.add(title)
    for step in story.steps:
        leaf = branch.add(_line(step, began=turn.created_at, is_asked=step.id == asked))
        for text in _details(step):
            leaf.add(Text(text, style="" if step.text == text else "dim"))


def _line(step: Step, *, began: datetime, is_asked: bool) -> Text:
    style = "bold red" if step.is_bad else KIND_STYLES.get(step.kind, "")
    passed = f"{(step.at - began).total_seconds():+9.3f} s  " if step.at else " " * 13
    mark = "  <- asked for" if is_asked else ""
    known = f"  {step.id}" if step.id and step.kind != "tool" else ""
    return Text.assemble((passed, "dim"), (step.title, style), (known, "dim"), (mark, "bold"))


def _details(step: Step) -> list[str]:
    """Lines below a step: what was said, then the facts that its title does not tell."""
    lines = [_cut(step.text)] if step.text else []
    match step.kind:
        case "tool":
            lines += [f"{name}: {_cut(str(step.facts[name]))}" for name in ("arguments", "result")]
        case "claimed":
            version = step.facts.get("bot_version")
            lines.append(f"waited {step.facts['waited_ms']} ms, bot version {shown(version)}")
        case "ended":
            lines.append(_listed(step, _ENDING))
        case "delivery":
            lines.append(_listed(step, _SENDING))
    return [line for line in lines if line]


def _listed(step: Step, words: Mapping[str, str]) -> str:
    """The facts that are known, in words."""
    known = {name: step.facts.get(name) for name in words}
    return ", ".join(
        words[name].format(shown(value)) for name, value in known.items() if value is not None
    )


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_TEXT_CHARS else text[: SHOWN_TEXT_CHARS - 1] + "…"

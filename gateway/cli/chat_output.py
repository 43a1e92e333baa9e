"""How `chat` shows a turn: growing text for a person, whole answers for a script, or JSON lines.

Takes the events of a turn one by one. Keeps whether one failed.
"""

from __future__ import annotations

import json
import sys
from typing import Protocol

import click

from gateway.domain.conversation import Message
from gateway.domain.turns import (
    HandedOff,
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TextRestarted,
    ToolCalled,
    ToolReturned,
    Turn,
)
from gateway.service.chat import LiveEvent, TurnBegan, TurnEnded

SHOWN_ARGUMENTS_CHARS = 80


class Output(Protocol):
    """Shows the events of turns."""

    has_failed: bool

    def show(self, event: LiveEvent) -> None:
        """Show one event."""
        ...


class PersonOutput:
    """Word by word, with names of agents; hand-offs and tool calls quietly between."""

    def __init__(self, *, has_colour: bool) -> None:
        self.has_failed = False
        self._has_colour = has_colour
        self._open: str | None = None
        self._speaker = ""

    def show(self, event: LiveEvent) -> None:
        """Show one event."""
        match event:
            case TurnBegan() if event.attempt > 1:
                self._quiet("trying again")
            case MessageStarted():
                self._begin(event.message_id, event.agent)
            case TextDelta():
                self._write(event.text)
            case TextRestarted():
                self._quiet("starting over")
                self._begin(event.message_id, self._speaker)
            case MessageCompleted():
                self._complete(event.message)
            case HandedOff():
                self._quiet(f"{event.from_agent} hands over to {event.to_agent}")
            case ToolCalled():
                self._quiet(f"{event.call.name} {_short(event.call.arguments)}")
            case ToolReturned() if not event.is_ok:
                self._quiet(f"{event.name} failed")
            case TurnEnded():
                self._end(event.turn)
            case _:
                pass

    def _begin(self, message_id: str, agent: str) -> None:
        self._close()
        self._open, self._speaker = message_id, agent
        name = agent or "bot"
        self._write(f"{click.style(name, fg='green', bold=True) if self._has_colour else name}: ")

    def _complete(self, message: Message) -> None:
        if message.role != "assistant" or message.visibility == "internal":
            return
        if self._open != message.id:
            self._begin(message.id, message.agent or "")
            self._write(message.text)
        self._close()

    def _end(self, turn: Turn) -> None:
        self._close()
        if turn.state == "cancelled":
            self._quiet("stopped")
        problem = problem_of(turn)
        if problem is not None:
            self.has_failed = True
            head = click.style("error:", fg="red", bold=True) if self._has_colour else "error:"
            click.echo(f"{head} {problem}", err=True)

    def _quiet(self, text: str) -> None:
        self._close()
        line = f"  · {text}"
        click.echo(click.style(line, dim=True) if self._has_colour else line)

    def _close(self) -> None:
        if self._open is not None:
            self._open = None
            self._write("\n")

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class ScriptOutput:
    """The texts of the answers and nothing else; what went wrong goes to standard error."""

    def __init__(self) -> None:
        self.has_failed = False

    def show(self, event: LiveEvent) -> None:
        """Show one event."""
        match event:
            case MessageCompleted(message):
                if message.role == "assistant" and message.visibility == "external":
                    click.echo(message.text)
            case TurnEnded(turn):
                problem = problem_of(turn)
                if problem is not None:
                    self.has_failed = True
                    click.echo(f"error: {problem}", err=True)
            case _:
                pass


class JsonOutput:
    """One JSON object a turn, on a line of its own."""

    def __init__(self) -> None:
        self.has_failed = False

    def show(self, event: LiveEvent) -> None:
        """Show one event."""
        if isinstance(event, TurnEnded):
            self.has_failed = self.has_failed or problem_of(event.turn) is not None
            click.echo(json.dumps(_document(event.turn), ensure_ascii=False))


def problem_of(turn: Turn) -> str | None:
    """Why a turn has no answer, in a sentence; None when it has one or was stopped."""
    if turn.state not in {"failed", "dead"}:
        return None
    if turn.error is None:
        return f"the turn {turn.id} ended as {turn.state}; see: bot-gateway explain {turn.id}"
    return f"{turn.error.message} See: bot-gateway explain {turn.id}"


def _document(turn: Turn) -> dict[str, object]:
    said = [m for m in turn.messages if m.role == "assistant" and m.visibility == "external"]
    error = {"code": turn.error.code, "message": turn.error.message} if turn.error else None
    return {
        "session_id": turn.session_id,
        "turn_id": turn.id,
        "state": turn.state,
        "agent": turn.final_agent,
        "text": "\n".join(message.text for message in said),
        "error": error,
    }


def _short(text: str) -> str:
    line = " ".join(text.split())
    is_long = len(line) > SHOWN_ARGUMENTS_CHARS
    return line[: SHOWN_ARGUMENTS_CHARS - 1] + "…" if is_long else line

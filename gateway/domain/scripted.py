"""Rules of the scripted model: what a model without a model answers.

A rule says when it applies (`text`, `agent`, `tool`) and what the model then does. Rules are tried
in order and the first match wins. Pure values; `agents/scripted_model.py` plays them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ScriptedFailure = Literal["transient", "permanent", "cut"]
"""An error worth a retry, one that is not, or a stream that breaks off after `reply`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedRule:
    """One rule: conditions, and what the model does when all given ones hold.

    Conditions. `text`: regular expression, searched without regard to case in the text the model
    is asked about (the person's last message; for a post-process agent the draft reply). `agent`:
    name of the agent that asks. `tool`: holds only straight after a result of that tool; a rule
    without `tool` never holds straight after a tool result. A hand-off's result is no tool result.

    Actions. `reply` says something, `call` calls a tool with `arguments`, `handoff` passes the talk
    to that agent; `reply` may go with either. `fail` fails instead. `delay_s` passes before the
    first word, `chunk_delay_s` between two words. `reply` and texts inside `arguments` may hold
    `{text}`, `{1}` (group of the regular expression) and `{tool.FIELD}` (field of the last tool
    result, `{tool.a.b}` for nested ones); an unknown name stays as it is.

    Raises ValueError when `text` is no regular expression or the rule does nothing or too much.
    """

    text: str | None = None
    agent: str | None = None
    tool: str | None = None
    reply: str | None = None
    call: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    handoff: str | None = None
    delay_s: float = 0
    chunk_delay_s: float = 0
    fail: ScriptedFailure | None = None

    def __post_init__(self) -> None:
        if self.text is not None:
            _check_expression(self.text)
        if self.call is not None and self.handoff is not None:
            raise ValueError("a rule either calls a tool or hands off, not both")
        if self.arguments and self.call is None:
            raise ValueError("arguments belong to a call, and this rule has none")
        if all(action is None for action in (self.reply, self.call, self.handoff, self.fail)):
            raise ValueError("a rule needs one of reply, call, handoff or fail")


def _check_expression(text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"text is not a regular expression: {error}") from error

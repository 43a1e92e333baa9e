"""Suggestions in Slack's views for agents: what a person may be offered to ask first.

Shown when somebody opens the app's messages (apps with `agent_view`) or a thread of the assistant
(`assistant_view`). A courtesy: after the event was acknowledged, once, and nothing depends on it.
docs.slack.dev, assistant.threads.setSuggestedPrompts; read November 2026.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from channels.slack.api import SlackApi, SlackError
from channels.slack.installations import Installations
from channels.slack.parse import BROKEN
from channels.slack.reading import Raw
from gateway.contract import Json
from gateway.contract.text import storable
from gateway.errors import GatewayError

MAX_PROMPTS: Final = 4
TITLE_CHARS: Final = 75

_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class View:
    """A view that somebody opened."""

    chat: str
    thread: str | None = None


def opened_view(event: Raw) -> View | None:
    """The view in which suggestions may stand, if that is what the event tells of."""
    try:
        match event["type"]:
            case "assistant_thread_started":
                thread = event["assistant_thread"]
                return View(storable(thread["channel_id"]), storable(thread["thread_ts"]))
            case "app_home_opened" if event.get("tab") == "messages":
                return View(storable(event["channel"]))
            case _:
                return None
    except BROKEN:
        return None


async def suggest(
    suggestions: Sequence[str],
    view: View,
    *,
    team: str,
    api: SlackApi,
    installations: Installations,
) -> None:
    """Offer them in that view; a failure is logged and forgotten."""
    prompts = [{"title": text[:TITLE_CHARS], "message": text} for text in suggestions[:MAX_PROMPTS]]
    if not prompts:
        return
    params: Json = {"channel_id": view.chat, "thread_ts": view.thread, "prompts": prompts}
    try:
        token = await installations.token(team)
        await api.call("assistant.threads.setSuggestedPrompts", params, token=token)
    except (SlackError, GatewayError) as error:
        _log.debug("suggestions_not_shown", team=team, reason=str(error))

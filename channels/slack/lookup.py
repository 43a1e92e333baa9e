"""Asks Slack what stands in a channel: was a doubtful part said, was a message opened for it.

A part of text is known by its metadata, a file by its name and size. A stream cannot be marked when
it is opened, but all that we finish is: so what stands there of ours without a mark is a message
that was opened and not finished. Raises `SlackError`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from channels.slack.api import SlackRefused
from channels.slack.calls import Calls
from channels.slack.places import Place, has_delivered, is_marked, place_of
from gateway.contract import Json, SentQuery

_CLOCKS_DIFFER: Final = timedelta(minutes=1)
_FILES_BEFORE_S: Final = 1.0
_PAGE: Final = 200
_PAGES: Final = 25
"""More than was said since a doubtful try; the search ends there."""


class Lookup:
    """The history of channels, as far as our own messages are concerned."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def find(self, query: SentQuery) -> str | None:
        """The reference of what was asked for, or None."""
        place = place_of(query.address)
        said = await self._said(place, since=query.since)
        found = (str(message["ts"]) for message in said if _is_it(message, query))
        found_ref = next(found, None)
        return found_ref if found_ref or query.part else _unfinished(said, place)

    async def opened(self, place: Place, *, since: datetime) -> str | None:
        """The newest message there that was opened and not finished, or None."""
        return _unfinished(await self._said(place, since=since), place)

    async def shown(self, place: Place, ref: str) -> str | None:
        """The text that a message shows now; None when it is not there."""
        params = {"oldest": ref, "latest": ref, "inclusive": True, "limit": 10}
        page = await self._page(place, params)
        found = (m for m in page["messages"] if m.get("ts") == ref)
        return next((str(m.get("text", "")) for m in found), None)

    async def _said(self, place: Place, *, since: datetime) -> list[Json]:
        """What we said there since that time."""
        our_user = await self._calls.bot_user(place.team)
        params: dict[str, object] = {
            "oldest": f"{(since - _CLOCKS_DIFFER).timestamp():.6f}",
            "include_all_metadata": True,
            "limit": _PAGE,
        }
        said: list[Json] = []
        for _ in range(_PAGES):
            page = await self._page(place, params)
            said += [each for each in page.get("messages", ()) if each.get("user") == our_user]
            params["cursor"] = (page.get("response_metadata") or {}).get("next_cursor")
            if not params["cursor"]:
                break
        return said

    async def _page(self, place: Place, params: Json) -> Json:
        """One page of the thread, or of the channel where the thread is gone."""
        if place.thread is not None:
            in_thread = {"channel": place.channel, "ts": place.thread, **params}
            try:
                return await self._calls.call(place.team, "conversations.replies", in_thread)
            except SlackRefused as refusal:
                if refusal.error not in ("thread_not_found", "message_not_found"):
                    raise
        in_channel = {"channel": place.channel, **params}
        return await self._calls.call(place.team, "conversations.history", in_channel)


def _is_it(message: Json, query: SentQuery) -> bool:
    file = query.part.get("file")
    if file is None:
        return has_delivered(message, query.delivery_id)
    # Files cannot be marked, but the lane of an address sends one part at a time.
    return float(message["ts"]) >= query.since.timestamp() - _FILES_BEFORE_S and any(
        shared.get("name") == file["name"] and file["size_bytes"] in (None, shared.get("size"))
        for shared in message.get("files") or ()
    )


def _unfinished(said: Sequence[Json], place: Place) -> str | None:
    refs = [
        str(message["ts"])
        for message in said
        if message["ts"] != place.thread
        and not is_marked(message)
        and not message.get("files")
        and message.get("subtype") in (None, "bot_message")
    ]
    return max(refs, default=None)

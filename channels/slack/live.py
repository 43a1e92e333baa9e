"""What people see on Slack while a turn runs: a status line, then a message that grows.

The message is a stream of Slack's own: opened by chat.startStream with the first text, grown by
chat.appendStream once a second, finished by whoever delivers the reply. A stream is only ever added
to, so a text that changed stops it growing until its end. It stands in a thread, and outside of
direct messages for a person; elsewhere there is the status line alone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from channels.slack.api import SlackError, SlackRefused
from channels.slack.calls import Budget, Calls
from channels.slack.failures import delivery_error
from channels.slack.lookup import Lookup
from channels.slack.markdown import settled
from channels.slack.places import Place
from channels.slack.render import beginning
from channels.slack.sending import Grown
from channels.slack.status import StatusBoard
from gateway.contract import LiveKind
from gateway.errors import DeliveryRefused, DeliveryUnknown

GROW_EVERY_S: Final = 1.0
APPENDS_PER_S: Final = 1.5
APPENDS_BURST: Final = 10
"""chat.appendStream is of tier 4: a hundred calls a minute in a workspace, bursts tolerated.

docs.slack.dev, "Rate limits"; read November 2026.
"""

STATUS_AGAIN_S: Final = 45.0
"""Slack takes a status away after two minutes. docs.slack.dev, assistant.threads.setStatus."""

START: Final = "chat.startStream"
APPEND: Final = "chat.appendStream"


class Working:
    """The status line alone."""

    kind: LiveKind = "signal"
    refresh_s = STATUS_AGAIN_S
    min_interval_s = GROW_EVERY_S

    def __init__(self, board: StatusBoard, place: Place) -> None:
        self._board = board
        self._place = place

    async def working(self, label: str | None) -> None:
        """Show the line; it comes a moment later, and nobody hears if it does not."""
        self._board.show(self._place, label)

    async def show(self, text: str) -> None:
        """Nothing: a status carries no text."""

    async def open(self, delivery_id: str) -> str:
        """Never called for a signal."""
        raise DeliveryRefused("a status is no message that could be opened")


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """What all streams of a connection share."""

    calls: Calls
    lookup: Lookup
    grown: Grown
    board: StatusBoard
    appends: Budget


class Growing:
    """A status line, and a stream as soon as there is text.

    `ref` is a stream that an earlier attempt opened; what it shows is asked of Slack.
    """

    kind: LiveKind = "message"
    refresh_s = STATUS_AGAIN_S
    min_interval_s = GROW_EVERY_S

    def __init__(
        self,
        streams: Streams,
        place: Place,
        *,
        recipient: tuple[str, str] | None,
        ref: str | None,
    ) -> None:
        self._streams = streams
        self._calls = streams.calls
        self._grown = streams.grown
        self._place = place
        self._recipient = recipient
        self._ref = ref
        self._shown: str | None = None
        if ref is not None:
            self._shown = self._grown.text_of(ref)
            self._grown.keep(ref, self._shown)

    async def working(self, label: str | None) -> None:
        """Show the status line; below a growing message there is none."""
        if self._ref is None:
            self._streams.board.show(self._place, label)

    async def open(self, delivery_id: str) -> str:
        """Open the stream; one whose answer got lost is looked for.

        Raises as `deliver` when Slack opens none.
        """
        since = datetime.now(UTC)
        try:
            ref = await self._start()
        except SlackError as error:
            meaning = delivery_error(error)
            if not isinstance(meaning, DeliveryUnknown):
                raise meaning from error
            found = await self._streams.lookup.opened(self._place, since=since)
            if found is None:
                raise meaning from error
            ref = found
        self._streams.board.replaced(self._place)
        self._ref, self._shown = ref, ""
        self._grown.keep(ref, "")
        return ref

    async def show(self, text: str) -> None:
        """Add what is new to the stream, or a later time where many grow in that workspace.

        Raises as `deliver` when Slack does not take it.
        """
        ref = self._ref
        if ref is None:
            return
        if self._shown is None:
            self._shown = await self._shown_before(ref)
        whole = settled(beginning(text))
        if len(whole) <= len(self._shown) or not whole.startswith(self._shown):
            return
        if not self._may_append():
            return
        added = whole[len(self._shown) :]
        # While the call is under way nobody knows what the stream shows.
        self._grown.keep(ref, None)
        params = {"channel": self._place.channel, "ts": ref, "markdown_text": added}
        try:
            await self._calls.call(self._place.team, APPEND, params)
        except SlackError as error:
            raise delivery_error(error) from error
        self._shown = whole
        self._grown.keep(ref, whole)

    def _may_append(self) -> bool:
        team = self._place.team
        return not self._calls.is_throttled(team, APPEND) and self._streams.appends.take(team)

    async def _start(self) -> str:
        team, user = self._recipient or (None, None)
        params = {
            "channel": self._place.channel,
            "thread_ts": self._place.thread,
            "recipient_team_id": team,
            "recipient_user_id": user,
        }
        return str((await self._calls.call(self._place.team, START, params))["ts"])

    async def _shown_before(self, ref: str) -> str:
        """What an earlier attempt showed; raises where it cannot be gone on with."""
        try:
            shown = await self._streams.lookup.shown(self._place, ref)
        except SlackRefused as refusal:
            raise delivery_error(refusal) from refusal
        if shown is None:
            raise DeliveryRefused("the opened message is not there any more")
        return shown

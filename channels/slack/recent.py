"""Where people talked to us lately, and how far we have heard: what an outage is made good from.

Bounded, and pure: no network, no clock. Kept as one short text beside the messages themselves.
"""

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from channels.slack.parse import BROKEN, DIRECT
from channels.slack.reading import order_of
from gateway.contract import InboundMessage

PLACES: Final = 100
"""Places that are remembered; of one that is older, an outage is not made good."""

CURSOR: Final = "recent"


@dataclass(frozen=True, slots=True)
class Spot:
    """A conversation (`thread` None) or a thread in it; `kind` is Slack's channel_type."""

    team: str
    chat: str
    kind: str
    thread: str | None = None

    @property
    def is_direct(self) -> bool:
        """Whether everything there is meant for us."""
        return self.kind in DIRECT


class Recent:
    """The places, and of each the ts of the newest message."""

    def __init__(self) -> None:
        self._newest: OrderedDict[Spot, str] = OrderedDict()

    @property
    def spots(self) -> list[tuple[Spot, str]]:
        """Every spot with the newest ts, the one that was quiet longest first."""
        return list(self._newest.items())

    def note(self, message: InboundMessage, *, kind: str | None) -> bool:
        """Remember where that message came from; whether the place was not known before.

        Slack does not tell the kind with a mention, which only channels have.
        """
        if message.message_ref is None:
            return False
        team, _, chat = message.address.chat.partition(":")
        kind = kind if kind in DIRECT else "channel"
        places = [Spot(team, chat, kind)]
        if message.address.thread is not None:
            places.append(Spot(team, chat, kind, message.address.thread))
        if message.needs_session:
            places = [place for place in places if place in self._newest]
        news = [self._note(place, message.message_ref) for place in places]
        while len(self._newest) > PLACES:
            self._newest.popitem(last=False)
        return any(news)

    def text(self) -> str:
        """All of it, to be kept."""
        return json.dumps(
            [[p.team, p.chat, p.kind, p.thread, ts] for p, ts in self._newest.items()],
            separators=(",", ":"),
        )

    def read(self, text: str | None) -> None:
        """What was kept, below what was heard since."""
        try:
            kept = OrderedDict(
                (Spot(team, chat, kind, thread), ts)
                for team, chat, kind, thread, ts in json.loads(text or "[]")
                if order_of(ts)
            )
        except BROKEN:
            kept = OrderedDict()
        for place, ts in self._newest.items():
            kept[place] = ts
        self._newest = kept

    def _note(self, place: Spot, ts: str) -> bool:
        former = self._newest.get(place)
        if former is None or order_of(former) < order_of(ts):
            self._newest[place] = ts
            self._newest.move_to_end(place)
        return former is None

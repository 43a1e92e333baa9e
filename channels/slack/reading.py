"""What an event is read with: who we are in that workspace, and the channel's rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from channels.slack.settings import DmRule
from gateway.contract import Address, Sender

Raw = Mapping[str, Any]
"""A document of Slack's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How events of one workspace are read."""

    channel: str
    team: str
    bot_user: str
    dm_sessions: DmRule = "channel"
    allow_bots: frozenset[str] = frozenset()

    def address(self, chat: str, thread: str | None) -> Address:
        """That conversation, or a thread in it."""
        return Address(self.channel, f"{self.team}:{chat}", thread)

    def sender(self, user: str, *, name: str | None = None, is_bot: bool = False) -> Sender:
        """Somebody of that workspace."""
        return Sender(platform="slack", external_id=f"{self.team}:{user}", name=name, is_bot=is_bot)


def teams_of(payload: Raw) -> tuple[str, ...]:
    """Where the app may be installed that an event is for, the likeliest first.

    An event of a shared channel names the other side's workspace outside and ours in
    `authorizations`; in an installation for a whole enterprise the enterprise counts.
    """
    found: list[object] = []
    given = payload.get("authorizations")
    for one in given if isinstance(given, list) else ():
        if isinstance(one, dict):
            whole = one.get("enterprise_id") if one.get("is_enterprise_install") else None
            found += [whole, one.get("team_id")]
    found += [payload.get("team_id"), _id_in(payload.get("team"))]
    found += [payload.get("enterprise_id"), _id_in(payload.get("enterprise"))]
    return tuple(dict.fromkeys(team for team in found if isinstance(team, str) and team))


def _id_in(document: object) -> object:
    return document.get("id") if isinstance(document, dict) else None


def order_of(ts: str) -> int:
    """A message's ts as a number that sorts: microseconds since 1970.

    >>> order_of("1531420618.000200")
    1531420618000200
    """
    seconds, _, micros = ts.partition(".")
    if not (seconds.isdecimal() and micros.isdecimal() and len(seconds) < 12 and len(micros) == 6):
        raise ValueError("not a ts of Slack's")
    return int(seconds) * 1_000_000 + int(micros)

"""Hands what Slack told to the gateway, whichever way it came in.

Takes documents as JSON values; returns when the gateway has what they mean on disk, and raises a
`GatewayError` when it has not: then Slack must tell it again. One event that nothing can store
never holds up the others: it is kept raw. No call of Slack is made on the way: suggestions come
afterwards, best effort.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import structlog

from channels.slack.api import SlackApi
from channels.slack.assistant import opened_view, suggest
from channels.slack.installations import Installation, Installations
from channels.slack.interactions import commanded, pressed
from channels.slack.parse import Stamp, inbound, tells_of_removal, unreadable
from channels.slack.reading import Raw, Reading, teams_of
from channels.slack.recent import CURSOR, Recent
from channels.slack.settings import SlackSettings
from gateway.contract import ChannelHost, Inbound, InboundMessage
from gateway.errors import GatewayError, Unavailable

_log: Final = structlog.get_logger(__name__)

Kind = Literal["events_api", "interactive", "slash_commands"]

SAVE_EVERY_S: Final = 5.0
"""How far the remembered places may lag behind; what is new among them is kept at once."""

LIMITED_S: Final = 120.0
"""How long the health tells of it that Slack held events back."""


@dataclass(frozen=True, slots=True)
class Told:
    """One document of Slack's."""

    kind: Kind
    payload: Raw


class Door:
    """The way in of one connected app."""

    def __init__(
        self,
        host: ChannelHost,
        api: SlackApi,
        *,
        channel: str,
        settings: SlackSettings,
        installations: Installations,
        recent: Recent,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._api = api
        self._channel = channel
        self._settings = settings
        self._installations = installations
        self.recent = recent
        self._clock = clock
        self._saved_at = clock()
        self._limited_until: float | None = None
        self._errands: set[asyncio.Task[None]] = set()

    async def take(self, told: Sequence[Told]) -> None:
        """Store what they mean; raises GatewayError when nothing of it is acknowledged yet."""
        batch: list[Inbound] = []
        is_new = False
        for one in told:
            for meaning in await self._meanings(one):
                batch.append(meaning)
                if isinstance(meaning, InboundMessage):
                    kind = (one.payload.get("event") or {}).get("channel_type")
                    is_new |= self.recent.note(meaning, kind=kind)
        await self.store(batch, keeps_places=is_new)

    async def store(self, batch: Sequence[Inbound], *, keeps_places: bool = False) -> None:
        """Store these; raises GatewayError. What cannot be stored as it is, is kept raw."""
        if not batch:
            return
        cursor = self._cursor(now=keeps_places)
        if await self._is_stored(batch, cursor=cursor):
            return
        for meaning in batch:
            if not await self._is_stored([meaning]) and not await self._is_stored([_raw(meaning)]):
                raise Unavailable("an event could not be stored", retry_after_s=5)

    def reading(self, installation: Installation) -> Reading:
        """What events of that workspace are read with."""
        return Reading(
            channel=self._channel,
            team=installation.team,
            bot_user=installation.bot_user,
            dm_sessions=self._settings.dm_sessions,
            allow_bots=frozenset(self._settings.allow_bots),
        )

    async def close(self) -> None:
        """Stop what is done beside."""
        for task in self._errands:
            task.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)

    async def _meanings(self, told: Told) -> list[Inbound]:
        payload = told.payload
        if payload.get("type") == "app_rate_limited":
            self._note_limit()
            return []
        self._end_limit()
        installation = await self._installation(payload)
        if installation is None:
            _log.warning(
                "slack_event_without_installation",
                channel=self._channel,
                teams=list(teams_of(payload)),
            )
            self._host.ignored("no_installation")
            return []
        if await self._is_about_us(payload, installation):
            return []
        return self._read(told, installation)

    async def _installation(self, payload: Raw) -> Installation | None:
        for team in teams_of(payload):
            found = await self._installations.find(team)
            if found is not None:
                return found
        return None

    def _read(self, told: Told, installation: Installation) -> list[Inbound]:
        reading, now = self.reading(installation), datetime.now(UTC)
        match told.kind:
            case "events_api":
                meaning = inbound(told.payload, reading, received_at=now)
                if isinstance(meaning, str):
                    self._after(told.payload, installation.team)
                    self._host.ignored(meaning)
                    return []
                return [meaning]
            case "interactive":
                presses = pressed(told.payload, reading, received_at=now)
                if isinstance(presses, str):
                    self._host.ignored(presses)
                    return []
                return presses
            case "slash_commands":
                return [commanded(told.payload, reading, received_at=now)]

    async def _is_about_us(self, payload: Raw, installation: Installation) -> bool:
        """Whether the app was removed: then nothing is sent there any more, from now on.

        News that is older than the installation is of a former one.
        """
        if not tells_of_removal(payload):
            return False
        told_at = payload.get("event_time")
        if isinstance(told_at, int) and told_at < int(installation.installed_at):
            return True
        await self._installations.remove(installation.team)
        if self._settings.bot_token is not None:
            self._host.health("stopped", reason=f"the app was removed from {installation.team}")
        return True

    def _after(self, payload: Raw, team: str) -> None:
        """What somebody opened gets its suggestions, when the event is acknowledged."""
        event = payload.get("event")
        view = opened_view(event) if isinstance(event, dict) else None
        offers = self._host.suggestions() if view is not None else ()
        if view is None or not offers:
            return
        task = asyncio.create_task(
            suggest(offers, view, team=team, api=self._api, installations=self._installations)
        )
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _cursor(self, *, now: bool) -> tuple[str, str] | None:
        if not now and self._clock() - self._saved_at < SAVE_EVERY_S:
            return None
        self._saved_at = self._clock()
        return CURSOR, self.recent.text()

    async def _is_stored(
        self, batch: Sequence[Inbound], *, cursor: tuple[str, str] | None = None
    ) -> bool:
        """False = the gateway stumbled over this batch; an error that it explains is passed on."""
        try:
            await self._host.accept(batch, cursor=cursor)
        except GatewayError:
            raise
        except Exception:  # noqa: BLE001 - one event must not block its chat, whatever is wrong
            _log.exception("inbound_failed", channel=self._channel, events=len(batch))
            return False
        return True

    def _note_limit(self) -> None:
        self._limited_until = self._clock() + LIMITED_S
        self._host.health("degraded", reason="Slack holds events back: over 30,000 in an hour")
        _log.error("slack_events_limited", channel=self._channel)

    def _end_limit(self) -> None:
        if self._limited_until is not None and self._clock() > self._limited_until:
            self._limited_until = None
            self._host.health("connected")


def _raw(meaning: Inbound) -> Inbound:
    """An event that could not be stored, for the operator."""
    stamp = Stamp(
        account=meaning.account,
        external_id=meaning.external_id,
        digest=meaning.digest,
        received_at=meaning.received_at,
    )
    return unreadable(repr(meaning), stamp, reason="could not be stored")

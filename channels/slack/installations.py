"""In which workspaces the app is, and with which token: one by configuration, or many by OAuth.

Takes the gateway's notes and calls of `oauth.v2.access`; gives the token and our own user of a
workspace. Installations by OAuth are kept as encrypted notes. Tokens that rotate are exchanged
before they end, one exchange at a time. "Team" is the workspace's id, or the enterprise's where
the app is installed in all of an enterprise at once.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Final

import structlog

from channels.slack.api import SlackApi, SlackError, SlackRefused, SlackSilence
from channels.slack.settings import SlackSettings
from gateway.contract import ChannelHost, Json
from gateway.errors import DeliveryLater, DeliveryRefused, GatewayError, Scope, StoreError

_log: Final = structlog.get_logger(__name__)

RENEW_BEFORE_S: Final = 7200.0
"""A rotating token lives 12 hours; it is exchanged two hours before its end.

docs.slack.dev, "Using token rotation"; read November 2026.
"""

TOKEN_ENDED: Final = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "app_uninstalled"}
)
"""The token will never work again."""

TOKEN_REFUSED: Final = TOKEN_ENDED | {"token_expired"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The app in one workspace; times are of the wall clock, `expires_at` None = never."""

    team: str
    bot_user: str
    installed_at: float
    token: str = field(repr=False)
    name: str | None = None
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: float | None = None


class Installations:
    """All installations of one app; `clock` tells the wall time in seconds."""

    def __init__(
        self,
        host: ChannelHost,
        api: SlackApi,
        *,
        settings: SlackSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._api = api
        self._settings = settings
        self._clock = clock
        self._known: dict[str, Installation] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._unsaved: set[str] = set()
        self._single: str | None = None

    @property
    def single(self) -> Installation | None:
        """The workspace of the configured `bot_token`; None with installs by OAuth."""
        return self._known.get(self._single) if self._single else None

    async def open(self) -> None:
        """Prove the configured `bot_token`; raises SlackError. Nothing to do with OAuth."""
        if self._settings.bot_token is None:
            return
        token = self._settings.bot_token.get_secret_value()
        found = await prove(self._api, token, now=self._clock())
        self._single = found.team
        self._known[found.team] = found

    async def find(self, team: str) -> Installation | None:
        """The installation of that team, or None; never asks Slack."""
        found = self._known.get(team)
        if found is not None or self._settings.bot_token is not None:
            return found
        note = await self._host.note(_key(team))
        if note is None:
            return None
        found = self._known[team] = Installation(**note)
        return found

    async def token(self, team: str) -> str:
        """The token to call Slack with for that team.

        Raises DeliveryRefused where the app is not installed (any more), and DeliveryLater when its
        token has ended and could not be exchanged just now, or cannot be read.
        """
        found = await self._found(team)
        if not self._ends_soon(found):
            return found.token
        async with self._turns[team]:
            self._forget_saved(team)
            found = await self._found(team)
            return (await self._exchanged(found)).token if self._ends_soon(found) else found.token

    async def _found(self, team: str) -> Installation:
        try:
            found = await self.find(team)
        except StoreError as error:
            raise DeliveryLater(error.message, scope="account") from error
        if found is None:
            scope: Scope = "account" if team == self._single else "address"
            raise DeliveryRefused(f"the app is not installed in {team}", scope=scope)
        if team in self._unsaved:
            await self._save(found)
        return found

    async def keep(self, installation: Installation) -> None:
        """Somebody installed the app, or its token was exchanged; encrypted on disk."""
        await self._host.keep_note(_key(installation.team), asdict(installation), is_secret=True)
        self._known[installation.team] = installation
        self._unsaved.discard(installation.team)

    async def remove(self, team: str) -> None:
        """The app is gone from that team; nothing is sent there any more.

        A configured token stays: it is tried again when the gateway connects anew.
        """
        _log.warning("slack_installation_removed", team=team)
        if self._settings.bot_token is None:
            await self._host.keep_note(_key(team), None)
        self._known.pop(team, None)
        self._unsaved.discard(team)

    async def after_refusal(self, team: str, *, token: str, error: str) -> str | None:
        """Slack refused that token (`TOKEN_REFUSED`): another one worth one more try, or None.

        What has ended for good is forgotten, and shows in the channel's health.
        """
        async with self._turns[team]:
            self._forget_saved(team)
            found = await self.find(team)
            if found is None:
                return None
            if found.token != token:
                return found.token
            if found.refresh_token is not None and error in ("token_expired", "invalid_auth"):
                return (await self._exchanged(replace(found, expires_at=0.0))).token
            sentence = f"Slack refuses the token of {team} ({error})"
            if self._settings.bot_token is not None:
                self._host.health("stopped", reason=sentence)
                return None
            self._host.health("degraded", reason=sentence)
            await self.remove(team)
            return None

    def _forget_saved(self, team: str) -> None:
        """Read it anew: another process may have exchanged the token, or kept a new one."""
        if self._settings.bot_token is None and team not in self._unsaved:
            self._known.pop(team, None)

    def _ends_soon(self, found: Installation) -> bool:
        return found.expires_at is not None and found.expires_at < self._clock() + RENEW_BEFORE_S

    async def _exchanged(self, found: Installation) -> Installation:
        """With a fresh token; with the old one while that still works and no other can be had."""
        try:
            return await self._refresh(found)
        except SlackError as error:
            _log.warning("slack_token_not_exchanged", team=found.team, reason=str(error))
            if found.expires_at is None or found.expires_at > self._clock():
                return found
            sentence = f"the token of {found.team} has ended and cannot be exchanged ({error})"
            if isinstance(error, SlackRefused) and error.retry_after_s is None:
                self._host.health("degraded", reason=sentence)
                raise DeliveryRefused(sentence, scope="address") from error
            raise DeliveryLater(sentence) from error

    async def _refresh(self, found: Installation) -> Installation:
        answer = await self._access(
            {"grant_type": "refresh_token", "refresh_token": found.refresh_token}
        )
        fresh = replace(
            found,
            token=str(answer["access_token"]),
            refresh_token=answer.get("refresh_token") or found.refresh_token,
            expires_at=_end_of(answer, now=self._clock()),
        )
        self._known[found.team] = fresh
        self._unsaved.add(found.team)
        _log.info("slack_token_exchanged", team=found.team)
        await self._save(fresh)
        return fresh

    async def _save(self, fresh: Installation) -> None:
        """Keep a fresh token; the old one is gone, so what cannot be stored now is stored later."""
        try:
            await self.keep(fresh)
        except GatewayError as error:
            _log.error("slack_token_not_kept", team=fresh.team, code=error.code)

    async def install(self, code: str, *, redirect_uri: str) -> Installation:
        """Exchange the code that a browser brought for an installation, and keep it.

        Raises SlackError when Slack gives none, GatewayError when it cannot be kept.
        """
        answer = await self._access({"code": code, "redirect_uri": redirect_uri})
        if answer.get("token_type") != "bot" or not answer.get("access_token"):
            raise SlackRefused("no_bot_token")
        whole = answer["enterprise"] if answer.get("is_enterprise_install") else answer["team"]
        installation = Installation(
            team=str(whole["id"]),
            bot_user=str(answer["bot_user_id"]),
            installed_at=self._clock(),
            token=str(answer["access_token"]),
            name=whole.get("name"),
            refresh_token=answer.get("refresh_token"),
            expires_at=_end_of(answer, now=self._clock()),
        )
        await self.keep(installation)
        _log.info("slack_installed", team=installation.team)
        return installation

    async def _access(self, params: Json) -> Json:
        secret = self._settings.client_secret
        client = {
            "client_id": self._settings.client_id,
            "client_secret": secret.get_secret_value() if secret else None,
        }
        return await self._api.call("oauth.v2.access", {**client, **params}, token=None)


async def prove(api: SlackApi, token: str, *, now: float) -> Installation:
    """Ask Slack whose token that is; raises SlackError."""
    answer = await api.call("auth.test", token=token)
    whole = answer.get("enterprise_id") if answer.get("is_enterprise_install") else None
    team, user, name = whole or answer.get("team_id"), answer.get("user_id"), answer.get("team")
    if not (isinstance(team, str) and isinstance(user, str)):
        raise SlackSilence("auth.test did not say whose token it is", was_written=True)
    return Installation(
        team=team,
        bot_user=user,
        installed_at=now,
        token=token,
        name=name if isinstance(name, str) else None,
    )


def _key(team: str) -> str:
    return f"installation:{team}"


def _end_of(answer: Json, *, now: float) -> float | None:
    lives_s = answer.get("expires_in")
    return now + float(lives_s) if lives_s else None

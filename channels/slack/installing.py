"""The install page: people let the app into their workspace by OAuth.

`/install` sends a browser to Slack with a state that only we can have made, and a cookie that only
this browser has; `/oauth` takes the code that Slack gives the browser, once, and keeps the
installation. docs.slack.dev, "Installing with OAuth"; read November 2026.
"""

import hashlib
import hmac
import html
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

import structlog
from aiohttp import web

from channels.slack.api import SlackError
from channels.slack.installations import Installations
from channels.slack.settings import SlackSettings
from gateway.errors import GatewayError

STATE_LIVES_S: Final = 600.0
COOKIE: Final = "bot-gateway-slack-state"

_MAX_USED: Final = 10_000
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body{{font:1.1rem/1.5 system-ui;margin:15vh auto;max-width:30rem;padding:0 1rem}}</style>
<h1>{title}</h1><p>{text}</p></html>
"""

_log: Final = structlog.get_logger(__name__)


class States:
    """Makes states and takes each back once, within ten minutes and from the same browser.

    A state is signed instead of kept, so that nobody can fill our memory with them.
    """

    def __init__(self, key: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._key = hmac.new(key, b"bot-gateway slack state", hashlib.sha256).digest()
        self._clock = clock
        self._used: OrderedDict[str, float] = OrderedDict()

    def new(self) -> str:
        """A state that nobody has had before."""
        body = f"{secrets.token_urlsafe(24)}.{int(self._clock() + STATE_LIVES_S)}"
        return f"{body}.{self._signature(body)}"

    def take(self, state: str, *, cookie: str) -> bool:
        """Whether that state is ours, fresh, of this browser, and was not taken before."""
        body, _, signature = state.rpartition(".")
        if not _same(signature, self._signature(body)) or not _same(state, cookie):
            return False
        now, ends_at = self._clock(), float(body.rpartition(".")[2])
        if ends_at < now or state in self._used:
            return False
        self._used[state] = ends_at
        while self._used and (len(self._used) > _MAX_USED or next(iter(self._used.values())) < now):
            self._used.popitem(last=False)
        return True

    def _signature(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()


class InstallPages:
    """Both pages; `installations()` is None while the channel is not connected."""

    def __init__(
        self,
        settings: SlackSettings,
        *,
        url: str,
        installations: Callable[[], Installations | None],
    ) -> None:
        secret = settings.client_secret
        self._settings = settings
        self._url = url
        self._installations = installations
        self._states = States(secret.get_secret_value().encode() if secret else b"")

    async def install(self, _request: web.Request) -> web.Response:
        """Send the browser to Slack, where somebody is asked."""
        state = self._states.new()
        query = urlencode(
            {
                "client_id": self._settings.client_id,
                "scope": ",".join(self._settings.asked_scopes),
                "redirect_uri": self._redirect_uri,
                "state": state,
            }
        )
        address = self._settings.base_url.removesuffix("api/") + f"oauth/v2/authorize?{query}"
        answer = web.Response(status=302, headers={**_HEADERS, "Location": address})
        answer.set_cookie(
            COOKIE,
            state,
            max_age=int(STATE_LIVES_S),
            path=self._path,
            secure=self._url.startswith("https://"),
            httponly=True,
            samesite="Lax",
        )
        return answer

    async def oauth(self, request: web.Request) -> web.Response:
        """Take what Slack gave the browser along."""
        if request.query.get("error"):
            return _page(400, "Not installed", "The app was not let in. Nothing has changed.")
        code, state = request.query.get("code", ""), request.query.get("state", "")
        if not code or not self._states.take(state, cookie=request.cookies.get(COOKIE, "")):
            text = "This link is used up or too old. Please start again from the install page."
            return _page(400, "Not installed", text)
        installations = self._installations()
        if installations is None:
            return _page(503, "Not now", "The gateway is not connected. Please try again soon.")
        try:
            made = await installations.install(code, redirect_uri=self._redirect_uri)
        except SlackError as error:
            _log.warning("slack_install_refused", reason=str(error))
            return _page(502, "Not installed", "Slack did not confirm it. Please start again.")
        except GatewayError as error:
            _log.warning("slack_installation_not_kept", code=error.code)
            return _page(503, "Not now", "It could not be stored. Please start again soon.")
        answer = _page(200, "Installed", f"The app is in {made.name or made.team} now.")
        answer.del_cookie(COOKIE, path=self._path)
        return answer

    @property
    def _redirect_uri(self) -> str:
        return f"{self._url}/oauth"

    @property
    def _path(self) -> str:
        """The part of the address that the cookie is for."""
        return "/" + self._url.split("/", 3)[3]


def _page(status: int, title: str, text: str) -> web.Response:
    page = _PAGE.format(title=html.escape(title), text=html.escape(text))
    return web.Response(status=status, text=page, content_type="text/html", headers=_HEADERS)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(
        one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape")
    )

"""The hosted chat page: `/talk/{slug}`, its session endpoint and its assets.

The page itself talks to the native API with a visitor's token; here it only gets that token. An
address where no bot lives answers a page that says so. Knows no channel and no database.
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from gateway.api.http.bodies import check_json_type, parse_object, read_body, validate
from gateway.api.http.callers import bearer, client_address
from gateway.api.http.settings import ApiSettings
from gateway.api.talk.assets import Assets
from gateway.api.talk.page import PAGE_HEADERS, Pages
from gateway.api.talk.wire import SessionRequest, VisitorToken
from gateway.domain.bots import Bot
from gateway.errors import Forbidden, NotFound, TooMany, Unauthorized
from gateway.service.access import AccessService
from gateway.service.bots import BotsService
from gateway.service.services import Services
from gateway.service.visits import Visit, VisitService

MAX_BODY_BYTES = 4096


def talk_routes(
    services: Services, *, settings: ApiSettings, is_on: bool = True
) -> list[web.RouteDef]:
    """The routes of the chat page. Switched off, each of them answers 403 in its own shape."""
    desk = TalkDesk(
        services.bots, services.visits, access=services.access, settings=settings, is_on=is_on
    )
    return desk.routes()


class TalkDesk:
    """Serves the page, its session endpoint and its assets."""

    def __init__(
        self,
        bots: BotsService,
        visits: VisitService,
        *,
        access: AccessService,
        settings: ApiSettings,
        is_on: bool = True,
    ) -> None:
        self._bots = bots
        self._visits = visits
        self._access = access
        self._settings = settings
        self._is_on = is_on
        self._assets = Assets.load()
        self._pages = Pages(self._assets)

    def routes(self) -> list[web.RouteDef]:
        """What to mount; GET answers HEAD too."""
        return [
            web.get("/talk/assets/{version}/{name}", self._assets.serve),
            web.get("/talk/{slug}", self.page),
            web.post("/talk/{slug}/session", self.session),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Answer `GET /talk/{slug}`: the page of that bot, or one that says what is the matter."""
        if not self._is_on:
            return self._notice(
                HTTPStatus.FORBIDDEN,
                title="This chat is switched off",
                text="Whoever runs this server has switched its chat pages off.",
            )
        bot = self._bots.find(request.match_info["slug"])
        if bot is None:
            return self._notice(
                HTTPStatus.NOT_FOUND,
                title="There is no chat here",
                text="The address may be mistyped, or the chat has moved. "
                "Ask whoever gave you the link for a new one.",
            )
        return _html(self._pages.chat(bot))

    async def session(self, request: web.Request) -> web.Response:
        """Answer `POST /talk/{slug}/session`: a new session, or a fresh token for the same."""
        if not self._is_on:
            raise Forbidden("The chat page is switched off.", code="surface_disabled")
        bot = self._bots.find(request.match_info["slug"])
        if bot is None:
            raise NotFound("There is no such bot.")
        wanted = await _body(request)
        is_known = "Authorization" in request.headers and not wanted.new
        visit = await (self._renewed(request, bot) if is_known else self._opened(request, bot))
        token = VisitorToken(
            token=visit.token, session_id=visit.session.id, expires_at=visit.grant.expires_at
        )
        return web.Response(
            status=HTTPStatus.CREATED,
            text=token.model_dump_json(),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    async def _opened(self, request: web.Request, bot: Bot) -> Visit:
        wait_s = self._access.note_visitor(client_address(request, self._settings))
        if wait_s is not None:
            raise TooMany("Too many new conversations from this address.", retry_after_s=wait_s)
        return await self._visits.open(bot)

    async def _renewed(self, request: web.Request, bot: Bot) -> Visit:
        visit = await self._visits.renew(bearer(request))
        if (visit.grant.project_id, visit.grant.bot) != (bot.project_id, bot.slug):
            raise Unauthorized("This token is for another bot.")
        return visit

    def _notice(self, status: HTTPStatus, *, title: str, text: str) -> web.Response:
        return _html(self._pages.notice(status=status, title=title, text=text), status=status)


async def _body(request: web.Request) -> SessionRequest:
    raw = await read_body(request, max_bytes=MAX_BODY_BYTES)
    check_json_type(request)
    return validate(SessionRequest, parse_object(raw))


def _html(document: str, *, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(
        status=status, text=document, content_type="text/html", headers=PAGE_HEADERS
    )

"""The chat page's paths over a real store: pages, tokens, and what is refused in which shape."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.api.http.errors import Envelopes
from gateway.api.http.headers import CommonHeaders
from gateway.api.http.middleware import outermost
from gateway.api.http.settings import ApiSettings
from gateway.api.native.problems import native_envelope
from gateway.api.talk.routes import TalkDesk
from gateway.domain.bots import Bot
from gateway.domain.policy import CallerLimits
from gateway.errors import Unauthorized
from gateway.flow.catalogue import Catalogue
from gateway.service import tokens
from gateway.service.access import VISITS_PER_MINUTE, AccessService
from gateway.service.bots import BotsService
from gateway.service.signing import Signer
from gateway.service.visits import VisitService
from gateway.store.open import open_store

SIGNER = Signer(b"a secret of the tests")


class Talk:
    """The chat page of two bots over HTTP, and the service that recognises its tokens."""

    def __init__(self, http: TestClient, access: AccessService) -> None:
        self.http = http
        self.access = access

    async def session(self, token: str | None = None, *, slug: str = "support", **body):
        """POST for a session: status and document."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        path = f"/talk/{slug}/session"
        async with self.http.post(path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()


async def open_talk(stack: AsyncExitStack, folder: Path, bot: Bot, *, is_on: bool = True) -> Talk:
    store = await stack.enter_async_context(open_store(f"sqlite:{folder}/talk.db", lock=False))
    other = replace(bot, slug="other")
    catalogue = Catalogue(bots={(b.project_id, b.slug): b for b in (bot, other)})
    access = AccessService(store, SIGNER, limits=CallerLimits())
    visits = VisitService(store, SIGNER, access=access, catalogue=lambda: catalogue)
    settings = ApiSettings(public_url="http://gateway.example")
    headers = CommonHeaders(access, settings)
    envelopes = Envelopes(default=native_envelope("http://gateway.example"), by_prefix={})
    app = web.Application(middlewares=[outermost(envelopes, headers)])
    app.on_response_prepare.append(headers.add)
    bots = BotsService(lambda: catalogue)
    desk = TalkDesk(bots, visits, access=access, settings=settings, is_on=is_on)
    app.add_routes(desk.routes())
    http = await stack.enter_async_context(TestClient(TestServer(app)))
    return Talk(http, access)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
async def talk(stack: AsyncExitStack, tmp_path: Path, bot: Bot) -> Talk:
    return await open_talk(stack, tmp_path, bot)


async def test_the_page_is_served_under_its_strict_policy(talk: Talk) -> None:
    async with talk.http.get("/talk/support") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "Card Support" in await answer.text()


async def test_head_is_answered_like_get(talk: Talk) -> None:
    async with talk.http.head("/talk/support") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")


async def test_an_unknown_bot_gets_a_friendly_page(talk: Talk) -> None:
    async with talk.http.get("/talk/nobody") as answer:
        assert (answer.status, answer.content_type) == (404, "text/html")
        assert "There is no chat here" in await answer.text()


async def test_a_visitor_gets_a_token_for_a_session_of_their_own(talk: Talk) -> None:
    status, document = await talk.session()
    principal = await talk.access.authenticate(document["token"])
    life = datetime.fromisoformat(document["expires_at"]) - datetime.now(UTC)

    assert status == 201
    assert document.keys() == {"token", "session_id", "expires_at"}
    assert (principal.session_id, principal.kind) == (document["session_id"], "session")
    assert principal.bots == {"support"}
    assert timedelta(minutes=58) < life <= timedelta(hours=1)


async def test_a_token_is_renewed_for_the_same_session(talk: Talk) -> None:
    _, first = await talk.session()

    status, second = await talk.session(first["token"])

    assert (status, second["session_id"]) == (201, first["session_id"])


async def test_an_expired_token_can_still_be_renewed(talk: Talk) -> None:
    _, first = await talk.session()
    grant = tokens.read(SIGNER, first["token"])
    assert grant is not None
    expired = tokens.issue(SIGNER, replace(grant, expires_at=datetime.now(UTC) - timedelta(days=1)))

    status, second = await talk.session(expired)

    assert (status, second["session_id"]) == (201, first["session_id"])
    with pytest.raises(Unauthorized):
        await talk.access.authenticate(expired)


async def test_a_new_conversation_is_another_session(talk: Talk) -> None:
    _, first = await talk.session()

    status, second = await talk.session(first["token"], new=True)

    assert status == 201
    assert second["session_id"] != first["session_id"]


@pytest.mark.parametrize("token", ["nonsense", "gw_st_nonsense", "gw_st_e30.e30"])
async def test_a_token_made_elsewhere_is_refused(talk: Talk, token: str) -> None:
    status, problem = await talk.session(token)

    assert (status, problem["code"]) == (401, "invalid_credentials")


async def test_a_token_of_another_bot_is_refused(talk: Talk) -> None:
    _, first = await talk.session(slug="other")

    status, problem = await talk.session(first["token"])

    assert (status, problem["code"]) == (401, "invalid_credentials")


async def test_an_unknown_bot_opens_no_session(talk: Talk) -> None:
    status, problem = await talk.session(slug="nobody")

    assert (status, problem["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"new": "yes"}', "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"{" + b" " * 5000 + b"}", "application/json", 413),
    ],
)
async def test_a_body_that_is_not_ours_is_refused_as_a_problem(
    talk: Talk, body: bytes, kind: str, status: int
) -> None:
    headers = {"Content-Type": kind}
    async with talk.http.post("/talk/support/session", data=body, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (status, "application/problem+json")


async def test_a_page_that_is_switched_off_says_so(
    stack: AsyncExitStack, tmp_path: Path, bot: Bot
) -> None:
    talk = await open_talk(stack, tmp_path, bot, is_on=False)

    status, problem = await talk.session()
    async with talk.http.get("/talk/support") as answer:
        assert (answer.status, answer.content_type) == (403, "text/html")
    assert (status, problem["code"]) == (403, "surface_disabled")


async def test_one_address_opens_only_so_many_conversations_a_minute(talk: Talk) -> None:
    statuses = [(await talk.session())[0] for _ in range(VISITS_PER_MINUTE)]

    status, problem = await talk.session()

    assert set(statuses) == {201}
    assert (status, problem["code"]) == (429, "rate_limited")

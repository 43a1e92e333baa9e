"""Fixtures of the chat page's tests: one browser for all, one page and one gateway for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page

from gateway.domain.bots import Agent, Bot
from gateway.domain.ids import ProjectId
from tests.api.talk.browser import chromium, watched_page
from tests.api.talk.chat_page import ChatPage
from tests.api.talk.fake_gateway import FakeGateway, Say


def _agent(name: str, *handoffs: str) -> Agent:
    return Agent(name=name, instructions="", model="main", handoffs=handoffs)


@pytest.fixture
def bot() -> Bot:
    """A bot with a desk that passes on to two others."""
    agents = (_agent("Desk", "Billing", "Card Disputes"), _agent("Billing"))
    return Bot(
        slug="support",
        uuid=UUID(int=7),
        project_id=ProjectId("demo"),
        name="Card Support",
        description="Balances and disputes",
        greeting="What can we do for you?",
        suggestions=("What do I owe?", "Where is my card?"),
        agents={agent.name: agent for agent in (*agents, _agent("Card Disputes"))},
        start_agent="Desk",
    )


@pytest.fixture
def gateway(bot: Bot) -> FakeGateway:
    """A gateway whose bot repeats what it hears, until a test gives it another script."""
    return FakeGateway(bot, lambda text: [Say("Desk", [f"Echo: {text}"])])


@pytest_asyncio.fixture(loop_scope="session")
async def address(gateway: FakeGateway) -> AsyncIterator[str]:
    """Where the gateway serves its chat page."""
    async with TestServer(gateway.app()) as server:
        yield str(server.make_url("/talk/support"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for the whole run; each test gets its own profile in it."""
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page in a fresh profile, as wide as a laptop."""
    async with watched_page(browser) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def chat(page: Page, address: str) -> ChatPage:
    """The chat page, open and ready to write."""
    return await ChatPage.open(page, address)

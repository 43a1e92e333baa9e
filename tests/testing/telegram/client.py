"""A plain HTTP client of the Bot API, so that the fake is seen without any library in between."""

import os
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.testing import TelegramServer
from tests import specifications

SHARED_SPEC = specifications.FOLDER / "telegram-bot-api-10.1.min.json"


def spec_file_if_any() -> Path | None:
    """The specification, None where there is none."""
    path = Path(os.environ.get("BOT_GATEWAY_TELEGRAM_SPEC", SHARED_SPEC))
    return path if path.exists() else None


def spec_file() -> Path:
    """The specification, or a skipped test where there is none."""
    path = spec_file_if_any()
    if path is None:
        pytest.skip("no Bot API specification here")
    return path


class Client:
    """Calls methods with JSON bodies and gives the decoded answers."""

    def __init__(self, telegram: TelegramServer, session: aiohttp.ClientSession) -> None:
        self.telegram = telegram
        self.session = session

    def url(self, method: str, token: str = "") -> str:
        return f"{self.telegram.api_url}/bot{token or self.telegram.token}/{method}"

    async def call(self, method: str, **params) -> dict:
        async with self.session.post(self.url(method), json=params) as response:
            answer = await response.json()
            assert response.status == answer.get("error_code", 200)
            return answer

    async def result(self, method: str, **params):
        answer = await self.call(method, **params)
        assert answer["ok"], answer
        return answer["result"]

    async def error(self, method: str, **params) -> str:
        answer = await self.call(method, **params)
        assert not answer["ok"], answer
        return answer["description"]


@asynccontextmanager
async def client_of(telegram: TelegramServer):
    async with aiohttp.ClientSession() as session:
        yield Client(telegram, session)

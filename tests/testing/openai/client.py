"""A plain HTTP client of the chat endpoint, so that the fake is seen without any library."""

from contextlib import asynccontextmanager

import aiohttp

from gateway.testing import OpenAIServer

HELLO = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
STREAM = {**HELLO, "stream": True}


@asynccontextmanager
async def asking(model: OpenAIServer, body, **kwargs):
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{model.base_url}/chat/completions", json=body, **kwargs) as response,
    ):
        yield response


async def answer_to(model: OpenAIServer, body=HELLO):
    async with asking(model, body) as response:
        return response.status, await response.json()


async def events_of(model: OpenAIServer, body=STREAM):
    async with asking(model, body) as response:
        assert response.content_type == "text/event-stream"
        raw = await response.text()
    return [line.removeprefix("data: ") for line in raw.split("\n\n") if line]

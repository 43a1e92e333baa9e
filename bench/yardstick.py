"""Yardsticks: the least a server can do for a durable turn, as servers of their own.

`hard`: bare aiohttp, raw aiohttp model call, group commit. `package`: the same with the `openai`
package used well. `bare`: like `package`, without any storage. Run as `python -m bench.yardstick`.
None shares code with the gateway: a yardstick must not move with what it measures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

HISTORY_MESSAGES = 20
SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    session TEXT NOT NULL, seq INTEGER NOT NULL, role TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (session, seq)
) WITHOUT ROWID
"""
Operation = Callable[[sqlite3.Connection], Any]


class GroupCommit:
    """One writer thread; everything queued meanwhile goes into one durable commit."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[tuple[Operation, asyncio.Future[Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    async def run(self, operation: Operation) -> Any:  # noqa: ANN401 - what the operation gives
        future = self._loop.create_future()
        self._queue.put((operation, future))
        return await future

    def _work(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(SCHEMA)
        while True:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            connection.execute("BEGIN IMMEDIATE")
            done = [(future, operation(connection)) for operation, future in batch]
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_resolve, done)


def _resolve(done: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in done:
        if not future.done():
            future.set_result(result)


def _add_user(session: str, text: str) -> Operation:
    def operation(connection: sqlite3.Connection) -> list[tuple[str, str]]:
        _insert(connection, session, "user", text)
        rows = connection.execute(
            "SELECT role, text FROM message WHERE session = ? ORDER BY seq DESC LIMIT ?",
            (session, HISTORY_MESSAGES),
        ).fetchall()
        return rows[::-1]

    return operation


def _add_reply(session: str, text: str) -> Operation:
    return lambda connection: _insert(connection, session, "assistant", text)


def _insert(connection: sqlite3.Connection, session: str, role: str, text: str) -> None:
    connection.execute(
        "INSERT INTO message SELECT ?, COALESCE(MAX(seq), 0) + 1, ?, ? FROM message"
        " WHERE session = ?",
        (session, role, text, session),
    )


async def raw_model(url: str) -> Callable[[list[dict[str, str]]], Any]:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def ask(messages: list[dict[str, str]]) -> str:
        body = json.dumps({"model": "m", "messages": messages}).encode()
        headers = {"Content-Type": "application/json", "Authorization": "Bearer none"}
        async with session.post(f"{url}/chat/completions", data=body, headers=headers) as answer:
            return str((await answer.json())["choices"][0]["message"]["content"])

    return ask


async def package_model(url: str) -> Callable[[list[dict[str, str]]], Any]:
    from openai import AsyncOpenAI, DefaultAioHttpClient
    from openai.types.chat import ChatCompletion

    client = AsyncOpenAI(
        base_url=url, api_key="none", max_retries=0, http_client=DefaultAioHttpClient()
    )

    async def ask(messages: list[dict[str, str]]) -> str:
        body = {"model": "m", "messages": messages}
        answer = await client.post("/chat/completions", body=body, cast_to=ChatCompletion)
        return answer.choices[0].message.content or ""

    return ask


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("hard", "package", "bare"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model-url", required=True)
    parser.add_argument("--database", required=True)
    options = parser.parse_args()
    ask = await (raw_model if options.kind == "hard" else package_model)(options.model_url)
    store = None if options.kind == "bare" else GroupCommit(options.database)

    async def turn(request: web.Request) -> web.Response:
        call = await request.json()
        session, text = call["session_id"], call["input"]
        if store is None:
            return web.json_response(
                {"output_text": await ask([{"role": "user", "content": text}])}
            )
        rows = await store.run(_add_user(session, text))
        reply = await ask([{"role": role, "content": content} for role, content in rows])
        await store.run(_add_reply(session, reply))
        return web.json_response({"output_text": reply})

    app = web.Application()
    app.router.add_post("/turn", turn)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

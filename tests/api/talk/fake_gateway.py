"""A gateway of one bot that plays scripted turns over real HTTP: what the chat page talks to.

Serves the page itself from `gateway.api.talk` and the few native paths that the page uses, with
an in-memory transcript. A script decides what happens to a message; `Gate` holds a turn until the
test opens it and `Drop` breaks every open stream, so that tests never wait for time to pass.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from gateway.api.talk.assets import Assets
from gateway.api.talk.page import PAGE_HEADERS, Pages
from gateway.domain.bots import Bot

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Say:
    """A reply of an agent; `parts` are streamed one by one, gates may stand between them."""

    agent: str
    parts: Sequence[str | Gate | Drop | Restart | Crash]
    visibility: str = "external"


@dataclass(frozen=True, slots=True)
class Emit:
    """One event as it goes over the wire."""

    type: str
    data: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Restart:
    """The text of this reply so far is void."""


@dataclass(frozen=True, slots=True)
class Crash:
    """The turn starts over from nothing, as after a kill: what was shown of this reply is void."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Breaks every open stream of the turn, as a proxy or a restart would."""


@dataclass(eq=False)
class Gate:
    """Holds the turn until the test opens it; `after_s` opens it by itself (for looking at it)."""

    after_s: float | None = None
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        self.opened.set()

    async def passed(self) -> None:
        if self.after_s is None:
            await self.opened.wait()
        else:
            await asyncio.sleep(self.after_s)


Step = Say | Emit | Gate | Drop


class FakeTurn:
    """A turn, its events so far, and whoever reads them."""

    def __init__(self, turn_id: str) -> None:
        self.id = turn_id
        self.events: list[tuple[int, str, Json]] = []
        self.is_over = False
        self.cancelled = asyncio.Event()
        self.changed = asyncio.Condition()
        self.drops = 0

    async def add(self, kind: str, data: Json) -> None:
        async with self.changed:
            self.events.append((len(self.events) + 1, kind, {"type": kind, **data}))
            self.is_over = kind in {
                "turn.completed",
                "turn.failed",
                "turn.cancelled",
                "turn.incomplete",
            }
            self.changed.notify_all()

    async def drop(self) -> None:
        async with self.changed:
            self.drops += 1
            self.changed.notify_all()

    async def news(self, after: int, *, drops: int) -> list[tuple[int, str, Json]]:
        """Wait for events past `after`, for the end, or for more than `drops` broken streams."""
        async with self.changed:
            await self.changed.wait_for(
                lambda: self.drops > drops or self.is_over or len(self.events) > after
            )
            return self.events[after:]


class FakeGateway:
    """Transcript, turns and tokens of one bot, and the HTTP paths over them.

    `script(text)` gives the steps of a turn. `refusals` are answered, in order, instead of the
    next messages: pairs of status and problem code. `requests` records method and path.
    """

    def __init__(self, bot: Bot, script: Callable[[str], Sequence[Step]]) -> None:
        self.bot = bot
        self.script = script
        self.sessions: dict[str, list[Json]] = {}
        self.tokens: dict[str, str] = {}
        self.turns: dict[str, FakeTurn] = {}
        self.by_key: dict[str, FakeTurn] = {}
        self.refusals: list[tuple[int, str]] = []
        self.requests: list[str] = []
        self.token_life = timedelta(hours=1)
        self._numbers: Iterator[int] = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._assets = Assets.load()
        self._pages = Pages(self._assets)

    def app(self) -> web.Application:
        """The aiohttp application to serve."""
        app = web.Application(middlewares=[self._record])
        app.add_routes(
            [
                web.get("/talk/assets/{version}/{name}", self._assets.serve),
                web.get("/talk/{slug}", self._page),
                web.post("/talk/{slug}/session", self._session),
                web.get("/v1/sessions/{id}/messages", self._history),
                web.post("/v1/sessions/{id}/messages", self._send),
                web.get("/v1/turns/{id}/events", self._events),
                web.post("/v1/turns/{id}/cancel", self._cancel),
            ]
        )
        app.on_shutdown.append(self._stop)
        return app

    def add_message(self, session_id: str, role: str, text: str, **facts: Any) -> Json:
        """Put a message into the transcript."""
        message = {
            "id": f"msg_{next(self._numbers)}",
            "role": role,
            "visibility": "external",
            "content": [{"type": "text", "text": text}],
            "created_at": datetime.now(UTC).isoformat(),
            "turn_id": None,
            "agent": None,
            **facts,
        }
        self.sessions[session_id].append(message)
        return message

    def forget_tokens(self) -> None:
        """Every token given out so far is refused from now on."""
        self.tokens.clear()

    @web.middleware
    async def _record(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        response: web.StreamResponse = await handler(request)
        return response

    async def _stop(self, _app: web.Application) -> None:
        for task in self._tasks:
            task.cancel()
        for turn in self.turns.values():
            await turn.drop()

    async def _page(self, request: web.Request) -> web.Response:
        if request.match_info["slug"] != self.bot.slug:
            text = self._pages.notice(status=404, title="Nobody here", text="No such chat.")
            return web.Response(
                status=404, text=text, content_type="text/html", headers=PAGE_HEADERS
            )
        return web.Response(
            text=self._pages.chat(self.bot), content_type="text/html", headers=PAGE_HEADERS
        )

    async def _session(self, request: web.Request) -> web.Response:
        body = await request.json()
        session_id = self._session_of(request)
        if request.headers.get("Authorization") and session_id is None:
            return _problem(401, "invalid_credentials")
        if session_id is None or body.get("new"):
            session_id = f"ses_{next(self._numbers)}"
            self.sessions[session_id] = []
        token = f"gw_st_{next(self._numbers)}"
        self.tokens[token] = session_id
        expires_at = datetime.now(UTC) + self.token_life
        return web.json_response(
            {"token": token, "session_id": session_id, "expires_at": expires_at.isoformat()},
            status=201,
        )

    async def _history(self, request: web.Request) -> web.Response:
        if self._session_of(request) != request.match_info["id"]:
            return _problem(401, "invalid_credentials")
        newest_first = self.sessions[request.match_info["id"]][::-1]
        start, limit = int(request.query.get("cursor", "0")), int(request.query["limit"])
        page = newest_first[start : start + limit]
        has_more = start + limit < len(newest_first)
        cursor = str(start + limit) if has_more else None
        return web.json_response(
            {"object": "list", "data": page, "has_more": has_more, "next_cursor": cursor}
        )

    async def _send(self, request: web.Request) -> web.StreamResponse:
        session_id = self._session_of(request)
        if session_id != request.match_info["id"]:
            return _problem(401, "invalid_credentials")
        if self.refusals:
            return _problem(*self.refusals.pop(0))
        key = request.headers["Idempotency-Key"]
        if key not in self.by_key:
            text = (await request.json())["input"]
            turn = FakeTurn(f"turn_{next(self._numbers)}")
            self.by_key[key] = self.turns[turn.id] = turn
            self.add_message(session_id, "user", text, turn_id=turn.id)
            task = asyncio.create_task(self._play(turn, session_id, self.script(text)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await self._stream(request, self.by_key[key], after=0)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        after = int(request.headers.get("Last-Event-ID", "0"))
        return await self._stream(request, self.turns[request.match_info["id"]], after=after)

    async def _cancel(self, request: web.Request) -> web.Response:
        self.turns[request.match_info["id"]].cancelled.set()
        return web.json_response({"id": request.match_info["id"]})

    async def _stream(
        self, request: web.Request, turn: FakeTurn, *, after: int
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        drops = turn.drops
        while True:
            fresh = await turn.news(after, drops=drops)
            for number, kind, data in fresh:
                frame = f"event: {kind}\nid: {number}\ndata: {json.dumps(data)}\n\n"
                await response.write(frame.encode())
            after += len(fresh)
            if turn.drops > drops:
                if request.transport is not None:
                    request.transport.abort()
                return response
            if turn.is_over:
                return response

    async def _play(self, turn: FakeTurn, session_id: str, steps: Sequence[Step]) -> None:
        await turn.add("turn.created", {"turn": {"id": turn.id, "session_id": session_id}})
        playing = asyncio.create_task(self._play_steps(turn, session_id, steps))
        stopping = asyncio.create_task(turn.cancelled.wait())
        done, _ = await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        playing.cancel()
        stopping.cancel()
        if playing in done:
            playing.result()
        if not turn.is_over:
            end = "turn.completed" if playing in done else "turn.cancelled"
            stored = [m for m in self.sessions[session_id] if m["turn_id"] == turn.id]
            await turn.add(end, {"turn": {"id": turn.id, "messages": stored}})

    async def _play_steps(self, turn: FakeTurn, session_id: str, steps: Sequence[Step]) -> None:
        for step in steps:
            match step:
                case Say():
                    await self._say(turn, session_id, step)
                case Emit():
                    await turn.add(step.type, step.data)
                case Gate():
                    await step.passed()
                case Drop():
                    await turn.drop()

    async def _say(self, turn: FakeTurn, session_id: str, step: Say) -> None:
        draft: Json = {
            "id": f"msg_{next(self._numbers)}",
            "role": "assistant",
            "agent": step.agent,
            "visibility": step.visibility,
            "turn_id": turn.id,
        }
        text = ""
        await turn.add("message.created", {"message": {**draft, "content": []}})
        for part in step.parts:
            match part:
                case str():
                    text += part
                    await turn.add("message.delta", {"message_id": draft["id"], "text": part})
                case Restart():
                    text = ""
                    await turn.add("message.restarted", {"message_id": draft["id"]})
                case Crash():
                    text = ""
                    draft["id"] = f"msg_{next(self._numbers)}"
                    await turn.add("turn.in_progress", {"turn": {"id": turn.id}})
                    await turn.add("message.created", {"message": {**draft, "content": []}})
                case Gate():
                    await part.passed()
                case Drop():
                    await turn.drop()
        message = self.add_message(session_id, text=text, **draft)
        await turn.add("message.completed", {"message": message})

    def _session_of(self, request: web.Request) -> str | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self.tokens.get(token)


def _problem(status: int, code: str) -> web.Response:
    return web.json_response({"status": status, "code": code}, status=status)

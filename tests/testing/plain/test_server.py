"""The plain platform: what it lets through, what it sees, and how it misbehaves."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.testing import Drop, Hang
from gateway.testing.plain.faults import Refusal
from gateway.testing.plain.server import PlainServer


@pytest.fixture
async def plain() -> AsyncIterator[PlainServer]:
    async with PlainServer() as server:
        yield server


async def call(plain: PlainServer, method: str, path: str, **body) -> tuple[int, dict]:
    headers = {"Authorization": f"Bearer {plain.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as client,
        client.request(method, plain.api_url + path, json=body or None) as answer,
    ):
        return answer.status, await answer.json()


async def send(plain: PlainServer, text: str, **more) -> tuple[int, dict]:
    body = {"chat": "7", "text": text, "delivery_id": "d1", **more}
    return await call(plain, "POST", "/messages", **body)


async def test_a_message_is_found_by_its_delivery_id(plain: PlainServer) -> None:
    status, sent = await send(plain, "Hello")

    _, found = await call(plain, "GET", "/messages?delivery_id=d1")
    _, other = await call(plain, "GET", "/messages?delivery_id=d2")

    assert status == 200
    assert [message["id"] for message in found["messages"]] == [sent["id"]]
    assert other["messages"] == []


async def test_a_message_grows_and_is_finished_in_its_place(plain: PlainServer) -> None:
    _, opened = await send(plain, "", is_final=False)
    await send(plain, "Later", delivery_id="d2")
    assert [message.text for message in plain.open] == [""]
    await call(plain, "PUT", f"/messages/{opened['id']}", text="Hel", is_final=False)

    await call(plain, "PUT", f"/messages/{opened['id']}", text="Hello", is_final=True)

    assert [message.text for message in plain.sent("7")] == ["Hello", "Later"]
    assert plain.sent("7")[0].earlier == ["", "Hel"]
    assert plain.open == []


async def test_a_removed_message_is_seen_by_nobody(plain: PlainServer) -> None:
    _, sent = await send(plain, "Hello")

    await call(plain, "DELETE", f"/messages/{sent['id']}")

    assert plain.shown() == []
    assert (await call(plain, "DELETE", f"/messages/{sent['id']}"))[0] == 404


async def test_a_second_message_of_one_delivery_is_named(plain: PlainServer) -> None:
    await send(plain, "Hello")
    assert plain.duplicates == []

    await send(plain, "Hello")

    assert plain.duplicates == ["d1"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"text": " "}, "a final text is empty"),
        ({"text": "x" * 4001}, "text is no text of at most 4000 characters"),
        ({"text": 7}, "text is no text of at most 4000 characters"),
    ],
    ids=["empty", "too long", "no text"],
)
async def test_what_breaks_the_rules_is_refused_and_noted(
    plain: PlainServer, body: dict, problem: str
) -> None:
    status, _ = await send(plain, **body)

    assert status == 400
    assert plain.problems == [f"send: {problem}"]
    assert plain.shown() == []


async def test_another_token_is_refused(plain: PlainServer) -> None:
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer guessed"}) as client,
        client.get(f"{plain.api_url}/account") as answer,
    ):
        assert answer.status == 401
    assert plain.calls == []


async def test_a_planned_refusal_hits_as_often_as_it_is_told(plain: PlainServer) -> None:
    rule = plain.fail("send", Refusal(429, retry_after_s=3), when=lambda call: call.chat == "7")

    statuses = [(await send(plain, "Hello"))[0] for _ in range(2)]

    assert statuses == [429, 200]
    assert rule.used == 1


@pytest.mark.parametrize(("accepted", "count"), [(True, 1), (False, 0)])
async def test_a_dropped_call_may_have_taken_effect(
    plain: PlainServer, accepted: bool, count: int
) -> None:
    plain.fail("send", Drop(accepted=accepted))

    with pytest.raises(aiohttp.ClientError):
        await send(plain, "Hello")

    assert len(plain.sent("7")) == count
    assert plain.calls[0].status is None


async def test_a_hanging_call_never_answers(plain: PlainServer) -> None:
    plain.fail("send", Hang(accepted=True))
    waiting = asyncio.create_task(send(plain, "Hello"))

    await plain.wait_for_sent(1, chat="7")

    assert not waiting.done()
    waiting.cancel()


class Hook:
    """A webhook that answers with the planned statuses, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[dict] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.got.append(await request.json())
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


async def test_an_event_comes_until_it_is_acknowledged_and_holds_up_its_chat(
    plain: PlainServer,
) -> None:
    hook, app = Hook(503, 500), web.Application()
    app.router.add_post("/hook", hook.answer)
    plain.post_text("7", "one")
    plain.post_text("7", "two")

    async with TestServer(app) as server:
        await call(plain, "PUT", "/webhook", url=str(server.make_url("/hook")))
        await plain.wait_until_acknowledged()

    assert [event["text"] for event in hook.got] == ["one", "one", "one", "two"]
    assert [attempt.status for attempt in plain.attempts] == [503, 500, 200, 200]


async def test_an_acknowledged_event_can_come_again(plain: PlainServer) -> None:
    hook, app = Hook(), web.Application()
    app.router.add_post("/hook", hook.answer)
    async with TestServer(app) as server:
        await call(plain, "PUT", "/webhook", url=str(server.make_url("/hook")))
        event = plain.post_text("7", "one")
        await plain.wait_until_acknowledged()

        plain.redeliver(event, 2)
        await plain.post_to_webhook(event, 2)
        await plain.wait_until(lambda: len(plain.attempts) == 5)

    assert {seen["id"] for seen in hook.got} == {event["id"]}
    assert len(hook.got) == 5

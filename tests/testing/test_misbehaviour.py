"""The plan of faults that all fakes share, and the faults that every one of them has."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from gateway.testing import (
    Drop,
    Garbled,
    Hang,
    HtmlError,
    SlackServer,
    Slow,
    TelegramServer,
    TwilioServer,
)
from gateway.testing.misbehaviour import FaultPlan
from gateway.testing.plain.server import PlainServer

Fake = TelegramServer | SlackServer | TwilioServer | PlainServer


def plan_of(*rules: tuple) -> FaultPlan[int, str]:
    plan: FaultPlan[int, str] = FaultPlan()
    for name, *faults in rules:
        plan.add(name, *faults)
    return plan


def test_a_fault_hits_one_call_of_its_name():
    plan = plan_of(("send", "away"))

    assert [plan.take(name, 1) for name in ("edit", "send", "send")] == [None, "away", None]


def test_a_star_is_any_name():
    assert plan_of(("*", "away")).take("whatever", 1) == "away"


def test_faults_come_in_turn_as_many_times_over_as_told():
    plan = plan_of()
    rule = plan.add("send", "away", "busy", times=2)

    taken = [plan.take("send", number) for number in range(5)]

    assert taken == ["away", "busy", "away", "busy", None]
    assert rule.used == 4


def test_the_first_rule_that_fits_takes_the_call():
    plan = plan_of(("send", "first"), ("*", "second"))

    assert [plan.take("send", number) for number in range(3)] == ["first", "second", None]


def test_a_call_that_was_not_chosen_uses_nothing_up():
    plan = plan_of()
    plan.add("send", "away", when=lambda call: call > 7)

    assert [plan.take("send", number) for number in (7, 8, 9)] == [None, "away", None]


def test_a_rule_without_a_count_holds_until_it_is_stopped():
    plan = plan_of()
    rule = plan.add("send", "away", times=None)
    before = [plan.take("send", number) for number in range(3)]

    rule.stop()

    assert before == ["away"] * 3
    assert plan.take("send", 3) is None
    assert rule.used == 3


def test_a_cleared_plan_lets_everything_pass():
    plan = plan_of(("send", "away"), ("*", "busy"))

    plan.clear()

    assert plan.take("send", 1) is None


@dataclass(frozen=True, slots=True)
class Send:
    """One send to a fake, as a bare HTTP client makes it."""

    name: str
    path: str
    headers: dict[str, str]
    body: Mapping[str, object]
    good_status: int = 200

    async def made(self, fake: Fake) -> tuple[int, str, str]:
        url = fake.api_url.rstrip("/") + self.path
        is_form = isinstance(fake, TwilioServer)
        async with (
            aiohttp.ClientSession(headers=self.headers) as client,
            client.post(
                url, data=self.body if is_form else None, json=None if is_form else self.body
            ) as answer,
        ):
            return answer.status, answer.content_type, await answer.text()


@asynccontextmanager
async def on_telegram() -> AsyncIterator[tuple[Fake, Send]]:
    async with TelegramServer() as fake:
        path = f"/bot{fake.token}/sendMessage"
        yield fake, Send("sendMessage", path, {}, {"chat_id": 7, "text": "Hi"})


@asynccontextmanager
async def on_slack() -> AsyncIterator[tuple[Fake, Send]]:
    async with SlackServer(echo=False) as fake:
        fake.channel("C1")
        headers = {"Authorization": f"Bearer {fake.bot_token}"}
        body = {"channel": "C1", "text": "Hi"}
        yield fake, Send("chat.postMessage", "/chat.postMessage", headers, body)


@asynccontextmanager
async def on_twilio() -> AsyncIterator[tuple[Fake, Send]]:
    async with TwilioServer() as fake:
        headers = {"Authorization": aiohttp.BasicAuth(fake.account_sid, fake.auth_token).encode()}
        path = f"/2010-04-01/Accounts/{fake.account_sid}/Messages.json"
        body = {"To": "+15557654321", "From": fake.number, "Body": "Hi"}
        yield fake, Send("CreateMessage", path, headers, body, good_status=201)


@asynccontextmanager
async def on_plain() -> AsyncIterator[tuple[Fake, Send]]:
    async with PlainServer() as fake:
        headers = {"Authorization": f"Bearer {fake.token}"}
        body = {"chat": "7", "text": "Hi", "delivery_id": "d1"}
        yield fake, Send("send", "/messages", headers, body)


@pytest.fixture(params=[on_telegram, on_slack, on_twilio, on_plain])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Fake, Send]]:
    opened: AbstractAsyncContextManager[tuple[Fake, Send]] = request.param()
    async with opened as pair:
        yield pair


async def test_a_garbled_answer_hides_a_call_that_took_effect(scene):
    fake, send = scene
    fake.fail(send.name, Garbled())

    status, kind, text = await send.made(fake)

    assert (status, kind) == (send.good_status, "application/json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    assert [message.text for message in fake.sent()] == ["Hi"]
    assert fake.calls[-1].status == status


async def test_an_error_page_stands_for_a_call_without_effect(scene):
    fake, send = scene
    fake.fail(send.name, HtmlError(503))

    assert (await send.made(fake))[:2] == (503, "text/html")
    assert fake.sent() == []
    assert fake.calls[-1].status == 503


@pytest.mark.parametrize("accepted", [True, False])
async def test_a_dropped_call_took_effect_or_not_and_has_no_status(scene, accepted):
    fake, send = scene
    fake.fail(send.name, Drop(accepted=accepted))

    with pytest.raises(aiohttp.ClientError):
        await send.made(fake)

    assert len(fake.sent()) == accepted
    assert fake.calls[-1].status is None


@pytest.mark.parametrize("accepted", [True, False])
async def test_a_hanging_call_took_effect_or_not_and_is_never_answered(scene, accepted):
    fake, send = scene
    rule = fake.fail(send.name, Hang(accepted=accepted))

    waiting = asyncio.create_task(send.made(fake))
    await fake.wait_until(lambda: rule.used == 1 and len(fake.sent()) == accepted)

    assert not waiting.done()
    assert fake.calls[-1].status is None
    waiting.cancel()


async def test_a_slow_call_takes_effect_before_it_is_answered(scene):
    fake, send = scene
    fake.fail(send.name, Slow(0.3))

    waiting = asyncio.create_task(send.made(fake))
    await fake.wait_until(lambda: len(fake.sent()) == 1)
    status_meanwhile, was_answered = fake.calls[-1].status, waiting.done()

    assert (await waiting)[0] == send.good_status == fake.calls[-1].status
    assert (status_meanwhile, was_answered) == (None, False)


async def test_every_fake_plays_faults_in_turn_and_forgets_them(scene):
    fake, send = scene
    fake.fail(send.name, HtmlError(500), HtmlError(503), times=None)
    statuses = [(await send.made(fake))[0] for _ in range(3)]

    fake.forget_faults()

    assert statuses == [500, 503, 500]
    assert (await send.made(fake))[0] == send.good_status

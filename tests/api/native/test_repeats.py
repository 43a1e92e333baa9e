"""`Idempotency-Key`: the same key and body never act twice, and are answered the same."""

import asyncio

import pytest

from tests.api.native.gateway import DEMO, Gateway

KEY = "order-17"


async def test_a_repeated_message_gets_the_first_answer(gateway: Gateway) -> None:
    body = {"input": "Hello"}

    first = await gateway.api.post("/v1/chat", body, Idempotency_Key=KEY)
    second = await gateway.api.post("/v1/chat", body, Idempotency_Key=KEY)

    assert (second.status, second.body) == (first.status, first.body)
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"


async def test_a_repeat_of_a_background_turn_gets_the_same_document_however_far_it_is(
    gateway: Gateway,
) -> None:
    body = {"input": "Hello", "background": True}
    first = await gateway.api.post("/v1/chat", body, Idempotency_Key=KEY)
    await gateway.api.get(first.headers["Location"] + "?wait=10")

    second = await gateway.api.post("/v1/chat", body, Idempotency_Key=KEY)

    assert (second.status, second.body) == (202, first.body)
    assert second.headers["Location"] == first.headers["Location"]


async def test_the_key_with_another_body_is_refused(gateway: Gateway) -> None:
    await gateway.api.post("/v1/chat", {"input": "Hello"}, Idempotency_Key=KEY)

    reply = await gateway.api.post("/v1/chat", {"input": "Bye"}, Idempotency_Key=KEY)

    assert (reply.status, reply.code) == (422, "idempotency_key_reused")


async def test_the_order_of_members_does_not_matter(gateway: Gateway) -> None:
    first = await gateway.api.post(
        "/v1/chat", {"input": "Hi", "context": {"a": 1, "b": 2}}, Idempotency_Key=KEY
    )
    second = await gateway.api.post(
        "/v1/chat", {"context": {"b": 2, "a": 1}, "input": "Hi"}, Idempotency_Key=KEY
    )

    assert second.body == first.body


async def test_keys_of_different_callers_do_not_meet(gateway: Gateway) -> None:
    other = await gateway.client(name="other")

    first = await gateway.api.post("/v1/chat", {"input": "Hi"}, Idempotency_Key=KEY)
    second = await other.post("/v1/chat", {"input": "Bye"}, Idempotency_Key=KEY)

    assert first.json["id"] != second.json["id"]


async def test_a_plain_repeat_while_the_turn_runs_is_told_to_wait(gateway: Gateway) -> None:
    body = {"input": "wait a moment"}

    both = await asyncio.gather(
        gateway.api.post("/v1/chat", body, Idempotency_Key=KEY),
        gateway.api.post("/v1/chat", body, Idempotency_Key=KEY),
    )

    done, repeat = sorted(both, key=lambda reply: reply.status)
    assert done.status == 200
    assert (repeat.status, repeat.code) == (409, "idempotency_in_progress")
    assert repeat.headers["Retry-After"] == "1"
    assert repeat.headers["Location"] == f"/v1/turns/{done.json['id']}"
    after = await gateway.api.post("/v1/chat", body, Idempotency_Key=KEY)
    assert after.body == done.body


async def test_a_streamed_repeat_joins_the_running_turn(gateway: Gateway) -> None:
    body = {"input": "count", "stream": True}

    first, second = await asyncio.gather(
        gateway.api.post("/v1/chat", body, Idempotency_Key=KEY),
        gateway.api.post("/v1/chat", body, Idempotency_Key=KEY),
    )

    turns = {reply.events[-1]["turn"]["id"] for reply in (first, second)}
    assert len(turns) == 1
    assert [e["type"] for e in first.events] == [e["type"] for e in second.events]


async def test_a_streamed_repeat_of_a_finished_turn_tells_it_again(gateway: Gateway) -> None:
    body = {"input": "count", "stream": True}
    first = await gateway.api.post("/v1/chat", body, Idempotency_Key=KEY)

    second = await gateway.api.post("/v1/chat", body, Idempotency_Key=KEY)

    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.events[-1]["type"] == "turn.completed"
    assert second.events[-1]["turn"] == first.events[-1]["turn"]


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
async def test_a_key_that_is_none_is_refused(gateway: Gateway, key: str) -> None:
    reply = await gateway.api.post("/v1/chat", {"input": "Hi"}, Idempotency_Key=key)

    assert (reply.status, reply.code) == (422, "validation_failed")


async def test_a_refused_request_leaves_its_key_free(gateway: Gateway) -> None:
    refused = await gateway.api.post("/v1/sessions", {"bot": "nobody"}, Idempotency_Key=KEY)
    taken = await gateway.api.post("/v1/sessions", {"bot": "support"}, Idempotency_Key=KEY)

    assert (refused.status, taken.status) == (404, 201)


async def test_a_session_is_made_once(gateway: Gateway) -> None:
    first = await gateway.api.post("/v1/sessions", {}, Idempotency_Key=KEY)
    second = await gateway.api.post("/v1/sessions", {}, Idempotency_Key=KEY)

    assert (second.status, second.body) == (201, first.body)
    assert second.headers["Location"] == first.headers["Location"]
    assert second.headers["Idempotent-Replayed"] == "true"


async def test_a_key_is_made_once_and_its_secret_is_nowhere_stored(gateway: Gateway) -> None:
    body = {"name": "ci"}

    first = await gateway.admin.post("/v1/keys", body, Idempotency_Key=KEY)
    second = await gateway.admin.post("/v1/keys", body, Idempotency_Key=KEY)

    secret = first.json["key"]
    assert (second.status, second.body) == (201, first.body)
    assert len([k for k in await gateway.services.keys.keys(DEMO) if k.name == "ci"]) == 1
    stored = b"".join(path.read_bytes() for path in gateway.data.iterdir())
    assert secret.encode() not in stored


async def test_a_visit_is_opened_once(gateway: Gateway) -> None:
    page = await gateway.client(kind="publishable")

    first = await page.post("/v1/widget/sessions", {}, Idempotency_Key=KEY)
    second = await page.post("/v1/widget/sessions", {}, Idempotency_Key=KEY)

    assert (second.status, second.body) == (201, first.body)
    assert first.json["token"]

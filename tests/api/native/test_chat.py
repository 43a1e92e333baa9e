"""`POST /v1/chat`: a message in, the bot's answer out; at once, later, or event by event."""

import asyncio
from typing import Any

import pytest

from tests.api.native.gateway import Gateway


async def test_a_message_is_answered_in_one_call(gateway: Gateway) -> None:
    reply = await gateway.api.say("Hello")

    assert reply.status == 200
    assert reply.json["status"] == "completed"
    assert reply.json["output_text"] == "You said: Hello"
    assert [m["role"] for m in reply.json["messages"]] == ["assistant"]
    assert reply.json["bot"] == "support"


async def test_a_session_goes_on_where_it_was(gateway: Gateway) -> None:
    first = await gateway.api.say("Hello")
    session = first.json["session_id"]

    second = await gateway.api.say("Again", session=session)

    assert second.json["session_id"] == session
    assert second.json["messages"][0]["seq"] == 4


async def test_without_a_session_id_every_message_begins_a_session(gateway: Gateway) -> None:
    first, second = await gateway.api.say("Hello"), await gateway.api.say("Hello")

    assert first.json["session_id"] != second.json["session_id"]


async def test_a_message_can_be_posted_into_its_session(gateway: Gateway) -> None:
    session = await gateway.api.new_session()

    reply = await gateway.api.post(f"/v1/sessions/{session}/messages", {"input": "Hello"})

    assert reply.json["session_id"] == session


async def test_input_may_come_in_pieces(gateway: Gateway) -> None:
    pieces = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]

    reply = await gateway.api.post("/v1/chat", {"input": pieces})

    assert reply.json["output_text"] == "You said: one\ntwo"


async def test_the_bot_and_the_agent_can_be_chosen(gateway: Gateway) -> None:
    sales = await gateway.api.say("Hi", bot="sales")
    billing = await gateway.api.say("Hi", agent="Billing")

    assert (sales.json["bot"], sales.json["agent"]) == ("sales", "Seller")
    assert billing.json["agent"] == "Billing"


async def test_a_person_named_twice_is_the_same_participant(gateway: Gateway) -> None:
    ann = {"channel": "api", "external_id": "ann", "name": "Ann", "data": {"tier": "gold"}}

    first = await gateway.api.say("Hi", participant=ann)
    second = await gateway.api.say("Hi", participant={"external_id": "ann"})

    assert first.json["participant_id"] == second.json["participant_id"]
    kept = await gateway.api.get(f"/v1/participants/{first.json['participant_id']}/data")
    assert kept.json == {"tier": "gold"}


async def test_metadata_comes_back_with_the_turn(gateway: Gateway) -> None:
    reply = await gateway.api.say("Hi", metadata={"ticket": "T-1", "urgent": True})

    assert reply.json["metadata"] == {"ticket": "T-1", "urgent": True}


async def test_a_turn_in_the_background_is_answered_at_once(gateway: Gateway) -> None:
    reply = await gateway.api.say("wait a moment", background=True)

    assert reply.status == 202
    assert reply.json["status"] == "queued"
    done = await gateway.api.get(reply.headers["Location"] + "?wait=10")
    assert done.json["output_text"] == "Here."


async def test_a_caller_who_prefers_not_to_wait_is_told_where_to_look(gateway: Gateway) -> None:
    body = {"input": "wait a moment"}

    reply = await gateway.api.post("/v1/chat", body, Prefer="respond-async")

    assert reply.status == 202
    assert reply.headers["Retry-After"] == "1"
    done = await gateway.api.get(reply.headers["Location"], Prefer="wait=10")
    assert done.json["status"] == "completed"
    assert done.headers["Preference-Applied"] == "wait=10"


async def test_a_turn_the_model_fails_is_an_error_with_the_place_of_the_turn(
    gateway: Gateway,
) -> None:
    reply = await gateway.api.say("break")

    assert reply.status == 502
    assert reply.code == "model_refused_request"
    turn = await gateway.api.get(reply.headers["Location"])
    assert turn.json["status"] == "failed"
    assert turn.json["error"]["code"] == "model_refused_request"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/input"),
        ({"input": ""}, "/input"),
        ({"input": "  "}, "/input"),
        ({"input": []}, "/input"),
        ({"input": 7}, "/input"),
        ({"input": [{"type": "text"}]}, "/input/0"),
        ({"input": [{"type": "file"}]}, "/input/0"),
        ({"input": [{"type": "video"}]}, "/input/0/type"),
        (
            {"input": [{"type": "image_url", "image_url": {"url": "file:///etc"}}]},
            "/input/0/image_url/url",
        ),
        ({"input": "Hi", "stream": "yes"}, "/stream"),
        ({"input": "Hi", "context": []}, "/context"),
        ({"input": "Hi", "metadata": {str(n): n for n in range(17)}}, "/metadata"),
        ({"input": "Hi", "timeout_s": 0}, "/timeout_s"),
        ({"input": "Hi", "participant": {}}, "/participant"),
        (
            {"input": "Hi", "participant": {"channel": "pigeon", "external_id": "x"}},
            "/participant/channel",
        ),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_by_its_place(
    gateway: Gateway, body: dict[str, object], pointer: str
) -> None:
    reply = await gateway.api.post("/v1/chat", body)

    assert reply.status == 422
    assert reply.code == "validation_failed"
    assert pointer in [error["pointer"] for error in reply.json["errors"]]


@pytest.mark.parametrize(
    "more",
    [
        {"bot": "nobody"},
        {"bot": "elsewhere"},
        {"agent": "Nobody"},
        {"session_id": "ses_1"},
        {"session_id": "ses_01k00000000000000000000000"},
        {"participant": {"id": "par_1"}},
        {"participant": {"id": "par_01k00000000000000000000000"}},
    ],
)
async def test_what_does_not_exist_is_not_found(gateway: Gateway, more: dict[str, Any]) -> None:
    reply = await gateway.api.say("Hi", **more)

    assert (reply.status, reply.code) == (404, "not_found")


async def test_an_ended_session_takes_no_message(gateway: Gateway) -> None:
    session = await gateway.api.new_session()
    await gateway.api.post(f"/v1/sessions/{session}/end")

    reply = await gateway.api.say("Hi", session=session)

    assert (reply.status, reply.code) == (409, "session_ended")


async def test_members_we_do_not_know_are_ignored(gateway: Gateway) -> None:
    reply = await gateway.api.say("Hi", shoe_size=44)

    assert reply.status == 200


async def test_a_key_for_one_bot_reaches_no_other(gateway: Gateway) -> None:
    narrow = await gateway.client(bots=frozenset({"sales"}))
    elsewhere = (await gateway.api.say("Hi")).json

    assert (await narrow.say("Hi", bot="support")).code == "agent_not_allowed"
    assert (await narrow.say("Hi", session=elsewhere["session_id"])).status == 404
    assert (await narrow.get(f"/v1/turns/{elsewhere['id']}")).status == 404
    assert (await narrow.say("Hi", bot="sales")).status == 200


async def test_client_tools_are_run_by_the_caller(gateway: Gateway) -> None:
    asked = await gateway.api.say("balance please", client_tools=True)

    assert asked.json["status"] == "requires_action"
    [call] = asked.json["tool_calls"]
    assert (call["name"], call["arguments"]) == ("get_balance", '{"user": "u1"}')
    results = {"results": [{"call_id": call["call_id"], "content": '{"balance": 40}'}]}
    done = await gateway.api.post(f"/v1/turns/{asked.json['id']}/tool_results", results)
    assert done.json["output_text"] == "It is 40."


async def test_tool_results_for_a_turn_that_does_not_wait_are_refused(gateway: Gateway) -> None:
    turn = (await gateway.api.say("Hi")).json["id"]
    results = {"results": [{"call_id": "c1", "content": "1"}]}

    reply = await gateway.api.post(f"/v1/turns/{turn}/tool_results", results)

    assert reply.status == 409


async def test_a_running_turn_can_be_cancelled(gateway: Gateway) -> None:
    turn = (await gateway.api.say("slow", background=True)).json["id"]

    reply = await gateway.api.post(f"/v1/turns/{turn}/cancel")
    again = await gateway.api.post(f"/v1/turns/{turn}/cancel")

    assert reply.json["status"] == "cancelled"
    assert again.json["status"] == "cancelled"


async def test_a_completed_turn_cannot_be_cancelled(gateway: Gateway) -> None:
    turn = (await gateway.api.say("Hi")).json["id"]

    reply = await gateway.api.post(f"/v1/turns/{turn}/cancel")

    assert (reply.status, reply.code) == (409, "already_completed")


async def test_a_full_session_refuses_more(gateway: Gateway) -> None:
    session = (await gateway.api.say("slow", background=True)).json["session_id"]
    for _ in range(20):
        await gateway.api.say("Hi", session=session, background=True)

    reply = await gateway.api.say("one too many", session=session, background=True)

    assert (reply.status, reply.code) == (409, "session_busy")


async def test_a_stopping_gateway_takes_no_new_turn(gateway: Gateway) -> None:
    gateway.services.health.is_draining = True

    reply = await gateway.api.say("Hi")

    assert (reply.status, reply.code) == (503, "draining")
    assert int(reply.headers["Retry-After"]) >= 1


async def test_whoever_waits_for_a_queued_turn_is_sent_away_when_the_gateway_stops(
    gateway: Gateway,
) -> None:
    session = (await gateway.api.say("slow", background=True)).json["session_id"]
    waiting = asyncio.create_task(gateway.api.say("Hi", session=session))
    path = f"/v1/sessions/{session}/messages?order=asc&wait=10"
    first = (await gateway.api.get(path)).json
    await gateway.api.get(f"{path}&cursor={first['next_cursor']}")

    gateway.services.chat.begin_drain()

    reply = await waiting
    assert (reply.status, reply.code) == (503, "draining")
    assert (await gateway.api.get(reply.headers["Location"])).json["status"] == "queued"


async def test_pictures_are_taken_and_shown_again(gateway: Gateway) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    said = await gateway.api.post("/v1/chat", {"input": [{"type": "text", "text": "Hi"}, picture]})

    session = said.json["session_id"]
    [asked] = (await gateway.api.get(f"/v1/sessions/{session}/messages?order=asc&limit=1")).json[
        "data"
    ]

    assert asked["content"] == [{"type": "text", "text": "Hi"}, picture]


async def test_a_participant_can_be_named_by_id(gateway: Gateway) -> None:
    person = (await gateway.api.call("PUT", "/v1/participants/by-identity/sms/%2B47")).json["id"]

    said = await gateway.api.say("Hi", participant={"id": person})
    session = await gateway.api.post("/v1/sessions", {"participant": {"id": person}})

    assert said.json["participant_id"] == session.json["participant_id"] == person


async def test_two_results_for_one_call_are_refused(gateway: Gateway) -> None:
    turn = (await gateway.api.say("balance", client_tools=True)).json
    call = turn["tool_calls"][0]["call_id"]
    results = {"results": [{"call_id": call, "content": "1"}, {"call_id": call, "content": "2"}]}

    reply = await gateway.api.post(f"/v1/turns/{turn['id']}/tool_results", results)
    missing = {"results": [{"call_id": "other", "content": "1"}]}
    other = await gateway.api.post(f"/v1/turns/{turn['id']}/tool_results", missing)

    assert (reply.status, other.status) == (422, 422)

"""Sessions: made, listed, read, changed, ended and removed."""

from typing import Any

import pytest

from tests.api.native.gateway import Client, Gateway


async def walk(client: Client, path: str, *, limit: int, order: str = "desc") -> list[Any]:
    """All documents of a list, piece by piece, by its cursors."""
    found: list[Any] = []
    cursor = ""
    while True:
        reply = await client.get(f"{path}?limit={limit}&order={order}{cursor}")
        found += reply.json["data"]
        assert len(reply.json["data"]) <= limit
        if not reply.json["has_more"]:
            assert reply.json["next_cursor"] is None
            return found
        cursor = f"&cursor={reply.json['next_cursor']}"
        assert reply.json["next_cursor"] in reply.headers["Link"]


async def test_a_session_is_made_with_everything_it_was_given(gateway: Gateway) -> None:
    reply = await gateway.api.post(
        "/v1/sessions",
        {
            "bot": "support",
            "agent": "Billing",
            "participant": {"channel": "api", "external_id": "ann", "name": "Ann"},
            "metadata": {"ticket": 7},
            "initial_state": {"step": [1, 2]},
        },
    )

    assert reply.status == 201
    made = (await gateway.api.get(reply.headers["Location"])).json
    assert made == reply.json
    assert (made["agent"], made["metadata"], made["state"]) == (
        "Billing",
        {"ticket": 7},
        {"step": [1, 2]},
    )


async def test_the_agent_a_session_was_made_with_answers_first(gateway: Gateway) -> None:
    session = await gateway.api.new_session(agent="Billing")

    reply = await gateway.api.say("Hi", session=session)

    assert reply.json["agent"] == "Billing"


async def test_a_session_of_a_channel_that_sends_begins_with_a_message(gateway: Gateway) -> None:
    reply = await gateway.api.post("/v1/sessions", {"channel": "telegram"})

    assert reply.status == 422


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_pieces_of_a_list_join_without_gap_or_repeat(
    gateway: Gateway, order: str, limit: int
) -> None:
    made = [await gateway.api.new_session() for _ in range(5)]

    listed = [s["id"] for s in await walk(gateway.api, "/v1/sessions", limit=limit, order=order)]

    assert listed == (made if order == "asc" else made[::-1])


async def test_a_list_is_not_disturbed_by_what_is_made_meanwhile(gateway: Gateway) -> None:
    made = [await gateway.api.new_session() for _ in range(3)]
    first = await gateway.api.get("/v1/sessions?limit=2")

    await gateway.api.new_session()
    cursor = first.json["next_cursor"]
    rest = await gateway.api.get(f"/v1/sessions?limit=2&cursor={cursor}")

    ids = [s["id"] for s in first.json["data"] + rest.json["data"]]
    assert ids == made[::-1]


async def test_a_cursor_belongs_to_its_filters(gateway: Gateway) -> None:
    for _ in range(3):
        await gateway.api.new_session()
    cursor = (await gateway.api.get("/v1/sessions?limit=1")).json["next_cursor"]

    for changed in ("bot=support", "order=asc"):
        reply = await gateway.api.get(f"/v1/sessions?limit=1&cursor={cursor}&{changed}")
        assert (reply.status, reply.code) == (400, "invalid_cursor")


async def test_sessions_are_found_by_what_they_are(gateway: Gateway) -> None:
    support = await gateway.api.new_session(bot="support", agent="Billing")
    sales = await gateway.api.new_session(bot="sales", channel="web")
    await gateway.api.call("PATCH", f"/v1/sessions/{sales}", {"tags": ["vip"]})
    await gateway.api.post(f"/v1/sessions/{support}/end")
    person = (await gateway.api.get(f"/v1/sessions/{sales}")).json["participant_id"]

    async def found(query: str) -> list[str]:
        return [s["id"] for s in (await gateway.api.get(f"/v1/sessions?{query}")).json["data"]]

    assert await found("bot=sales") == [sales]
    assert await found("channel=web") == [sales]
    assert await found("agent=Billing") == [support]
    assert await found("status=ended") == [support]
    assert await found("status=active") == [sales]
    assert await found("tag=vip") == [sales]
    assert sales in await found(f"participant_id={person}")
    assert await found("updated_before=2020-01-01T00:00:00Z") == []
    assert set(await found("updated_after=2020-01-01T00:00:00Z")) == {support, sales}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("limit=0", 422, "validation_failed"),
        ("limit=101", 422, "validation_failed"),
        ("limit=x", 422, "validation_failed"),
        ("order=up", 422, "validation_failed"),
        ("updated_after=yesterday", 422, "validation_failed"),
        ("updated_after=2020-01-01T00:00:00", 422, "validation_failed"),
        ("status=open", 422, "validation_failed"),
        ("cursor=abc", 400, "invalid_cursor"),
        ("offset=5", 400, "unknown_parameter"),
        ("limit=5&limit=6", 400, "unknown_parameter"),
        ("bot=%00", 400, "invalid_parameter"),
    ],
)
async def test_parameters_that_make_no_sense_are_refused(
    gateway: Gateway, query: str, status: int, code: str
) -> None:
    reply = await gateway.api.get(f"/v1/sessions?{query}")

    assert (reply.status, reply.code) == (status, code)


async def test_a_session_that_did_not_change_is_not_sent_again(gateway: Gateway) -> None:
    path = f"/v1/sessions/{await gateway.api.new_session()}"
    etag = (await gateway.api.get(path)).headers["ETag"]

    same = await gateway.api.get(path, If_None_Match=etag)
    await gateway.api.call("PATCH", path, {"title": "Changed"})
    changed = await gateway.api.get(path, If_None_Match=etag)

    assert (same.status, same.headers["ETag"]) == (304, etag)
    assert changed.json["title"] == "Changed"


async def test_only_what_is_given_changes(gateway: Gateway) -> None:
    path = f"/v1/sessions/{await gateway.api.new_session(metadata={'a': 1})}"

    await gateway.api.call("PATCH", path, {"title": "Card", "tags": ["x", "y", "x"]})
    reply = await gateway.api.call("PATCH", path, {"state": {"n": 1}, "agent": "Billing"})

    assert reply.json["title"] == "Card"
    assert reply.json["tags"] == ["x", "y"]
    assert reply.json["metadata"] == {"a": 1}
    assert reply.json["state"] == {"n": 1}
    assert reply.json["agent"] == "Billing"


async def test_a_change_to_an_old_version_is_refused(gateway: Gateway) -> None:
    path = f"/v1/sessions/{await gateway.api.new_session()}"
    etag = (await gateway.api.get(path)).headers["ETag"]
    first = await gateway.api.call("PATCH", path, {"title": "One"}, If_Match=etag)

    second = await gateway.api.call("PATCH", path, {"title": "Two"}, If_Match=etag)
    nonsense = await gateway.api.call("PATCH", path, {"title": "Two"}, If_Match='"x"')

    assert first.status == 200
    assert (second.status, second.code) == (412, "etag_mismatch")
    assert nonsense.status == 412
    assert (await gateway.api.get(path)).json["title"] == "One"


async def test_a_session_cannot_be_moved_to_an_agent_its_bot_lacks(gateway: Gateway) -> None:
    path = f"/v1/sessions/{await gateway.api.new_session()}"

    assert (await gateway.api.call("PATCH", path, {"agent": "Seller"})).status == 404


async def test_ending_twice_changes_nothing_more(gateway: Gateway) -> None:
    path = f"/v1/sessions/{await gateway.api.new_session()}/end"

    first, second = await gateway.api.post(path), await gateway.api.post(path)

    assert first.json["status"] == "ended"
    assert second.json == first.json


async def test_a_removed_session_is_gone_with_its_messages(gateway: Gateway) -> None:
    session = (await gateway.api.say("Hello")).json["session_id"]

    removed = await gateway.api.call("DELETE", f"/v1/sessions/{session}")

    assert removed.status == 204
    assert (await gateway.api.get(f"/v1/sessions/{session}")).status == 404
    assert (await gateway.api.get(f"/v1/sessions/{session}/messages")).status == 404
    assert (await gateway.api.call("DELETE", f"/v1/sessions/{session}")).status == 404

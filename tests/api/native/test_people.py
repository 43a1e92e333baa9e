"""Participants and the documents kept about them."""

import asyncio

import pytest

from tests.api.native.gateway import Gateway
from tests.api.native.test_sessions import walk

ANN = "/v1/participants/by-identity/telegram/4711"


async def test_a_person_is_made_once_and_found_again(gateway: Gateway) -> None:
    first = await gateway.api.call("PUT", ANN, {"name": "Ann"})
    second = await gateway.api.call("PUT", ANN)

    assert (first.status, second.status) == (201, 200)
    assert second.json["id"] == first.json["id"]
    assert second.json["name"] == "Ann"
    assert first.headers["Location"] == f"/v1/participants/{first.json['id']}"
    [identity] = second.json["identities"]
    assert (identity["channel"], identity["external_id"]) == ("telegram", "4711")


async def test_what_is_known_is_merged(gateway: Gateway) -> None:
    await gateway.api.call("PUT", ANN, {"data": {"tier": "gold", "city": "Oslo"}})

    person = (await gateway.api.call("PUT", ANN, {"data": {"city": "Bergen"}})).json["id"]

    kept = await gateway.api.get(f"/v1/participants/{person}/data")
    assert kept.json == {"tier": "gold", "city": "Bergen"}


@pytest.mark.parametrize("external_id", ["a%2Fb", "%2B4712345678", "T1%3AU2", "%C3%A9"])
async def test_any_external_id_can_stand_in_the_path(gateway: Gateway, external_id: str) -> None:
    path = f"/v1/participants/by-identity/api/{external_id}"

    assert (await gateway.api.call("PUT", path)).status == 201
    assert (await gateway.api.call("PUT", path)).status == 200


async def test_an_unknown_platform_is_refused(gateway: Gateway) -> None:
    reply = await gateway.api.call("PUT", "/v1/participants/by-identity/pigeon/1")

    assert (reply.status, reply.code) == (422, "validation_failed")


async def test_participants_are_listed_in_pieces(gateway: Gateway) -> None:
    made = [
        (await gateway.api.call("PUT", f"/v1/participants/by-identity/api/{n}")).json["id"]
        for n in range(4)
    ]

    listed = [p["id"] for p in await walk(gateway.api, "/v1/participants", limit=3, order="asc")]

    assert listed == made


async def test_a_participant_is_changed_only_in_the_version_that_was_read(
    gateway: Gateway,
) -> None:
    path = (await gateway.api.call("PUT", ANN)).headers["Location"]
    etag = (await gateway.api.get(path)).headers["ETag"]

    changed = await gateway.api.call(
        "PATCH", path, {"name": "Ann", "metadata": {"a": 1}}, If_Match=etag
    )
    stale = await gateway.api.call("PATCH", path, {"name": "Eve"}, If_Match=etag)

    assert (changed.json["name"], changed.json["metadata"]) == ("Ann", {"a": 1})
    assert stale.status == 412
    assert (await gateway.api.get(path, If_None_Match=changed.headers["ETag"])).status == 304


async def test_a_document_is_replaced_merged_and_kept_per_agent(gateway: Gateway) -> None:
    path = (await gateway.api.call("PUT", ANN)).headers["Location"] + "/data"

    await gateway.api.call("PUT", path, {"a": 1, "b": {"c": 2, "d": 3}})
    merged = await gateway.api.call("PATCH", path, {"a": None, "b": {"d": 4}})
    await gateway.api.call("PUT", f"{path}?agent=Billing", {"own": True})

    assert merged.json == {"b": {"c": 2, "d": 4}}
    assert (await gateway.api.get(path)).json == {"b": {"c": 2, "d": 4}}
    assert (await gateway.api.get(f"{path}?agent=Billing")).json == {"own": True}


async def test_merges_at_the_same_moment_all_count(gateway: Gateway) -> None:
    path = (await gateway.api.call("PUT", ANN)).headers["Location"] + "/data"

    replies = await asyncio.gather(
        *(gateway.api.call("PATCH", path, {f"field{n}": n}) for n in range(3))
    )

    assert {reply.status for reply in replies} == {200}
    assert (await gateway.api.get(path)).json == {f"field{n}": n for n in range(3)}


async def test_a_document_changed_meanwhile_is_not_overwritten(gateway: Gateway) -> None:
    path = (await gateway.api.call("PUT", ANN)).headers["Location"] + "/data"
    etag = (await gateway.api.get(path)).headers["ETag"]
    await gateway.api.call("PUT", path, {"a": 1}, If_Match=etag)

    for method in ("PUT", "PATCH"):
        reply = await gateway.api.call(method, path, {"a": 2}, If_Match=etag)
        assert (reply.status, reply.code) == (412, "etag_mismatch")


async def test_a_document_has_a_limit(gateway: Gateway) -> None:
    path = (await gateway.api.call("PUT", ANN)).headers["Location"] + "/data"

    reply = await gateway.api.call("PUT", path, {"text": "x" * 70_000})

    assert (reply.status, reply.code) == (413, "body_too_large")


async def test_an_unknown_participant_is_not_found(gateway: Gateway) -> None:
    unknown = "/v1/participants/par_01k00000000000000000000000"

    for method, path in [
        ("GET", unknown),
        ("PATCH", unknown),
        ("GET", f"{unknown}/data"),
        ("PUT", f"{unknown}/data"),
        ("PATCH", f"{unknown}/data"),
    ]:
        body: object = None if method == "GET" else {}
        assert (await gateway.api.call(method, path, body)).status == 404

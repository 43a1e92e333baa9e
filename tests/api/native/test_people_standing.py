"""Link codes, merging, blocking and consent, as callers ask for them."""

from typing import Any

import pytest
from yarl import URL

from tests.api.native.gateway import Client, Gateway

PEOPLE = "/v1/participants"
NOBODY = f"{PEOPLE}/par_00000000000000000000000000"


async def person(gateway: Gateway, external_id: str, **body: Any) -> str:
    """The id of a participant of the API."""
    reply = await gateway.api.call("PUT", f"{PEOPLE}/by-identity/api/{external_id}", body)
    return str(reply.json["id"])


async def raw(client: Client, method: str, path: str, body: object = None) -> tuple[int, str, Any]:
    """Status, place and document of an answer that is not followed."""
    headers = {"Authorization": f"Bearer {client.key}"}
    address = URL(client.url + path)
    async with client.http.request(
        method, address, json=body, headers=headers, allow_redirects=False
    ) as response:
        return response.status, response.headers.get("Location", ""), await response.json()


async def test_a_link_code_is_readable_and_new_each_time(gateway: Gateway) -> None:
    path = f"{PEOPLE}/{await person(gateway, 'ann')}/link-codes"

    first, second = await gateway.api.post(path), await gateway.api.post(path)

    assert (first.status, second.status) == (201, 201)
    assert first.json["code"] != second.json["code"]
    letters = first.json["code"].replace("-", "")
    assert len(letters) == 8
    assert not set(letters) & set("01OILU")


async def test_a_repeated_call_gets_the_same_code_which_is_not_stored(gateway: Gateway) -> None:
    path = f"{PEOPLE}/{await person(gateway, 'ann')}/link-codes"

    first = await gateway.api.call("POST", path, Idempotency_Key="k")
    again = await gateway.api.call("POST", path, Idempotency_Key="k")

    assert first.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"
    stored = b"".join(file.read_bytes() for file in gateway.data.glob("gateway.db*"))
    assert first.json["code"].encode() not in stored


async def test_merged_participants_are_one_and_the_former_id_leads_on(gateway: Gateway) -> None:
    ann = await person(gateway, "ann", name="Ann", data={"tier": "gold"})
    annie = await person(gateway, "annie", data={"age": 7})
    said = await gateway.api.say("Hi", participant={"id": annie})

    merged = await gateway.api.post(f"{PEOPLE}/{ann}/merge", {"source_id": annie})
    again = await gateway.api.post(f"{PEOPLE}/{ann}/merge", {"source_id": annie})

    assert (merged.status, again.status) == (200, 200)
    assert [one["external_id"] for one in merged.json["identities"]] == ["ann", "annie"]
    status, place, problem = await raw(gateway.api, "GET", f"{PEOPLE}/{annie}/data?agent=Desk")
    assert (status, place) == (308, f"{PEOPLE}/{ann}/data?agent=Desk")
    assert problem["code"] == "merged"
    followed = await gateway.api.get(f"{PEOPLE}/{annie}/data")
    assert followed.json == {"age": 7, "tier": "gold"}
    for known_as in (ann, annie):
        listed = (await gateway.api.get(f"/v1/sessions?participant_id={known_as}")).json["data"]
        assert [one["id"] for one in listed] == [said.json["session_id"]]
    more = await gateway.api.say("Hi again", participant={"id": annie})
    assert more.json["participant_id"] == ann


@pytest.mark.parametrize("method", ["PATCH", "POST"])
async def test_a_change_at_the_former_id_is_sent_to_the_new_one(
    gateway: Gateway, method: str
) -> None:
    ann, annie = await person(gateway, "ann"), await person(gateway, "annie")
    await gateway.api.post(f"{PEOPLE}/{ann}/merge", {"source_id": annie})
    tail = {"PATCH": "", "POST": "/block"}[method]

    status, place, _ = await raw(gateway.api, method, f"{PEOPLE}/{annie}{tail}", {"name": "Ann"})

    assert (status, place) == (308, f"{PEOPLE}/{ann}{tail}")


async def test_nobody_is_merged_with_themselves_or_with_nobody(gateway: Gateway) -> None:
    ann = await person(gateway, "ann")

    itself = await gateway.api.post(f"{PEOPLE}/{ann}/merge", {"source_id": ann})
    nobody = await gateway.api.post(
        f"{PEOPLE}/{ann}/merge", {"source_id": NOBODY.rpartition("/")[2]}
    )

    assert (itself.status, nobody.status) == (409, 404)


async def test_the_blocked_are_told_so_until_they_are_unblocked(gateway: Gateway) -> None:
    ann = await person(gateway, "ann")

    blocked = await gateway.api.post(f"{PEOPLE}/{ann}/block")
    refused = await gateway.api.say("Hi", participant={"id": ann})
    freed = await gateway.api.post(f"{PEOPLE}/{ann}/unblock")
    heard = await gateway.api.say("Hi", participant={"id": ann})

    assert [one["blocked"] for one in blocked.json["identities"]] == [True]
    assert (refused.status, refused.code) == (403, "participant_blocked")
    assert [one["blocked"] for one in freed.json["identities"]] == [False]
    assert heard.status == 200


async def test_a_block_stops_what_runs(gateway: Gateway) -> None:
    ann = await person(gateway, "ann")
    started = await gateway.api.say("slow", participant={"id": ann}, background=True)

    await gateway.api.post(f"{PEOPLE}/{ann}/block")

    turn = await gateway.api.get(f"/v1/turns/{started.json['id']}?wait=10")
    assert turn.json["status"] == "cancelled"


async def test_consent_is_kept_for_each_platform(gateway: Gateway) -> None:
    ann = await person(gateway, "ann")
    phone = (await gateway.api.call("PUT", f"{PEOPLE}/by-identity/sms/%2B15550001")).json["id"]
    await gateway.api.post(f"{PEOPLE}/{ann}/merge", {"source_id": phone})
    path = f"{PEOPLE}/{ann}/consent"

    sms = await gateway.api.post(path, {"opted_out": True, "channel": "sms"})
    every = await gateway.api.post(path, {"opted_out": True})
    none = await gateway.api.post(path, {"opted_out": False})

    assert [_opted_out(reply.json) for reply in (sms, every, none)] == [
        {"api": False, "sms": True},
        {"api": True, "sms": True},
        {"api": False, "sms": False},
    ]


@pytest.mark.parametrize("body", [{}, {"opted_out": "yes"}, {"opted_out": True, "channel": "fax"}])
async def test_consent_that_says_nothing_is_refused(gateway: Gateway, body: object) -> None:
    ann = await person(gateway, "ann")

    reply = await gateway.api.post(f"{PEOPLE}/{ann}/consent", body)

    assert (reply.status, reply.code) == (422, "validation_failed")


@pytest.mark.parametrize(
    ("tail", "body"),
    [
        ("link-codes", None),
        ("merge", {"source_id": "par_1"}),
        ("block", None),
        ("unblock", None),
        ("consent", {"opted_out": True}),
    ],
    ids=["link-codes", "merge", "block", "unblock", "consent"],
)
async def test_nobody_stands_for_nobody(gateway: Gateway, tail: str, body: object) -> None:
    theirs = await gateway.client(scopes=frozenset({"participants:read"}))

    missing = await gateway.api.post(f"{NOBODY}/{tail}", body)
    forbidden = await theirs.post(f"{NOBODY}/{tail}", body)

    assert (missing.status, forbidden.status) == (404, 403)


def _opted_out(document: Any) -> dict[str, bool]:
    return {one["channel"]: one["opted_out"] for one in document["identities"]}

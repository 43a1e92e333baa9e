"""Tenant isolation, generated: every route with an id of another project answers 404, or 403
before it looks."""

import re

import pytest

from gateway.api.http.endpoints import Endpoint
from gateway.api.native.routes import ENDPOINTS
from gateway.domain.ids import new_file_id
from gateway.store.protocol.files import NewFile
from tests.api.native.gateway import OTHER, Gateway

WITH_ID = [
    endpoint for endpoint in ENDPOINTS if "{id}" in endpoint.path or "{slug}" in endpoint.path
]
BODIES: dict[str, object] = {
    "createTurnInSession": {"input": "Hi"},
    "sendMessage": {"content": "Hi"},
    "giveToolResults": {"results": [{"call_id": "c", "content": "1"}]},
}


@pytest.mark.parametrize("endpoint", WITH_ID, ids=[endpoint.name for endpoint in WITH_ID])
@pytest.mark.parametrize("kind", ["secret", "admin"])
async def test_what_belongs_to_another_project_does_not_exist(
    gateway: Gateway, endpoint: Endpoint, kind: str
) -> None:
    theirs = await gateway.client(OTHER)
    turn = (await theirs.say("Hi")).json
    key = (await gateway.services.keys.keys(OTHER))[0]
    known = {
        "sessions": turn["session_id"],
        "turns": turn["id"],
        "participants": turn["participant_id"],
        "keys": key.id,
        "files": await their_file(gateway),
        "bots": "elsewhere",
        "channels": "theirs",
    }
    resource = endpoint.path.split("/")[2]
    path = re.sub(r"{\w+}", known[resource], endpoint.path)
    body = None if endpoint.body is None else BODIES.get(endpoint.name, {})

    caller = gateway.admin if kind == "admin" else gateway.api
    reply = await caller.call(endpoint.method, path, body)

    needs_more = kind == "secret" and endpoint.demands == "keys:manage"
    assert reply.status == (403 if needs_more else 404), reply.body


async def their_file(gateway: Gateway) -> str:
    """A file of the other project."""
    file_id = new_file_id()
    await gateway.parts.services.files._store.add_piece(OTHER, file_id, number=0, data=b"x")
    new = NewFile(
        id=file_id,
        project_id=OTHER,
        name=None,
        mime="text/plain",
        kind="document",
        size_bytes=1,
        sha256=b"",
    )
    await gateway.parts.services.files._store.keep_file(new)
    return file_id


async def test_lists_hold_only_what_is_the_projects_own(gateway: Gateway) -> None:
    theirs = await gateway.client(OTHER)
    await theirs.say("Hi", participant={"external_id": "spy"})

    for path in ("/v1/sessions", "/v1/participants"):
        assert (await gateway.admin.get(path)).json["data"] == []


async def test_the_same_person_of_two_projects_is_two_participants(gateway: Gateway) -> None:
    theirs = await gateway.client(OTHER)
    path = "/v1/participants/by-identity/telegram/1"

    mine, other = await gateway.api.call("PUT", path), await theirs.call("PUT", path)

    assert mine.json["id"] != other.json["id"]

"""Keys over REST: shown once, limited to what their maker has, closed at once."""

import pytest

from tests.api.native.gateway import OTHER, Gateway
from tests.api.native.test_sessions import walk


async def test_a_new_key_opens_at_once_and_is_shown_once(gateway: Gateway) -> None:
    made = await gateway.admin.post("/v1/keys", {"name": "ci"})

    assert made.status == 201
    assert (await gateway.api.with_key(made.json["key"]).say("Hi")).status == 200
    shown = await gateway.admin.get(made.headers["Location"])
    assert "key" not in shown.json
    assert made.json["key"].startswith(shown.json["hint"])
    assert made.json["key"] not in shown.body.decode()


@pytest.mark.parametrize(
    ("body", "prefix"),
    [
        ({}, "gw_sk_"),
        ({"kind": "admin"}, "gw_adm_"),
        ({"role": "admin"}, "gw_adm_"),
        ({"kind": "publishable", "origins": ["https://example.com"]}, "gw_pk_"),
        ({"scopes": ["conversation"]}, "crn_conv_"),
    ],
)
async def test_the_prefix_tells_the_kind(
    gateway: Gateway, body: dict[str, object], prefix: str
) -> None:
    made = await gateway.admin.post("/v1/keys", {"name": "k", **body})

    assert made.json["key"].startswith(prefix)


async def test_an_origin_is_kept_as_browsers_write_it(gateway: Gateway) -> None:
    body = {"name": "k", "kind": "publishable", "origins": ["https://Example.com:443/"]}

    made = await gateway.admin.post("/v1/keys", body)

    assert made.json["origins"] == ["https://example.com"]


async def test_an_ordinary_key_manages_no_keys(gateway: Gateway) -> None:
    reply = await gateway.api.post("/v1/keys", {"name": "k"})

    assert (reply.status, reply.code) == (403, "insufficient_scope")


async def test_nobody_gives_away_more_than_they_have(gateway: Gateway) -> None:
    manager = await gateway.client(
        scopes=frozenset({"keys:manage", "chat"}), bots=frozenset({"sales"})
    )

    async def status(**body: object) -> int:
        return (await manager.post("/v1/keys", {"name": "k", **body})).status

    assert await status(scopes=["chat"], bots=["sales"]) == 201
    assert await status(scopes=["chat"], bots=["support"]) == 403
    assert await status(scopes=["chat"]) == 403
    assert await status(scopes=["sessions:read"], bots=["sales"]) == 403
    assert await status(kind="admin") == 403
    assert await status(role="admin") == 403


async def test_a_key_cannot_be_made_mightier_afterwards(gateway: Gateway) -> None:
    manager = await gateway.client(scopes=frozenset({"keys:manage", "chat"}))
    own = (await manager.post("/v1/keys", {"name": "k", "scopes": ["chat"]})).headers["Location"]
    admins = [k["id"] for k in (await manager.get("/v1/keys")).json["data"] if k["kind"] == "admin"]

    assert (await manager.call("PATCH", own, {"scopes": ["sessions:read"]})).status == 403
    assert (await manager.call("PATCH", own, {"role": "admin"})).status == 403
    assert (await manager.post(f"/v1/keys/{admins[0]}/rotate", {})).status == 403
    assert (await manager.call("DELETE", f"/v1/keys/{admins[0]}")).status == 403


async def test_keys_are_listed_in_pieces(gateway: Gateway) -> None:
    for number in range(3):
        await gateway.admin.post("/v1/keys", {"name": f"k{number}"})

    listed = await walk(gateway.admin, "/v1/keys", limit=2, order="asc")

    assert [key["name"] for key in listed] == ["tests", "admin", "k0", "k1", "k2"]


async def test_keys_of_another_project_do_not_exist(gateway: Gateway) -> None:
    await gateway.client(OTHER, name="theirs")
    [theirs] = await gateway.services.keys.keys(OTHER)

    for method, path in [
        ("GET", f"/v1/keys/{theirs.id}"),
        ("PATCH", f"/v1/keys/{theirs.id}"),
        ("DELETE", f"/v1/keys/{theirs.id}"),
        ("POST", f"/v1/keys/{theirs.id}/rotate"),
    ]:
        body: object = None if method in ("GET", "DELETE") else {}
        assert (await gateway.admin.call(method, path, body)).status == 404


async def test_only_what_is_given_changes(gateway: Gateway) -> None:
    made = await gateway.admin.post("/v1/keys", {"name": "k", "limits": {"requests_per_minute": 5}})

    reply = await gateway.admin.call(
        "PATCH", made.headers["Location"], {"bots": ["sales"], "expires_at": "2100-01-01T00:00:00Z"}
    )

    assert reply.json["bots"] == ["sales"]
    assert reply.json["expires_at"] == "2100-01-01T00:00:00.000Z"
    assert reply.json["limits"]["requests_per_minute"] == 5
    assert reply.json["name"] == "k"


async def test_a_revoked_key_is_refused_at_once(gateway: Gateway) -> None:
    made = await gateway.admin.post("/v1/keys", {"name": "k"})
    client = gateway.api.with_key(made.json["key"])
    await client.say("Hi")

    first = await gateway.admin.call("DELETE", made.headers["Location"])
    second = await gateway.admin.call("DELETE", made.headers["Location"])

    assert (first.status, second.status) == (204, 204)
    reply = await client.say("Hi")
    assert (reply.status, reply.code) == (401, "invalid_credentials")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


async def test_an_expired_key_is_refused_with_its_own_code(gateway: Gateway) -> None:
    body = {"name": "k", "expires_at": "2020-01-01T00:00:00Z"}
    made = await gateway.admin.post("/v1/keys", body)

    reply = await gateway.api.with_key(made.json["key"]).say("Hi")

    assert (reply.status, reply.code) == (401, "expired_credentials")


async def test_after_a_rotation_both_secrets_open_for_the_overlap(gateway: Gateway) -> None:
    made = await gateway.admin.post("/v1/keys", {"name": "k"})

    rotated = await gateway.admin.post(f"{made.headers['Location']}/rotate", {"overlap_s": 60})

    assert rotated.json["id"] == made.json["id"]
    for text in (made.json["key"], rotated.json["key"]):
        assert (await gateway.api.with_key(text).say("Hi")).status == 200


async def test_without_an_overlap_the_old_secret_is_closed(gateway: Gateway) -> None:
    made = await gateway.admin.post("/v1/keys", {"name": "k"})
    await gateway.api.with_key(made.json["key"]).say("Hi")

    rotated = await gateway.admin.post(f"{made.headers['Location']}/rotate")

    assert (await gateway.api.with_key(made.json["key"]).say("Hi")).status == 401
    assert (await gateway.api.with_key(rotated.json["key"]).say("Hi")).status == 200


async def test_a_revoked_key_cannot_be_rotated(gateway: Gateway) -> None:
    made = await gateway.admin.post("/v1/keys", {"name": "k"})
    await gateway.admin.call("DELETE", made.headers["Location"])

    reply = await gateway.admin.post(f"{made.headers['Location']}/rotate")

    assert (reply.status, reply.code) == (409, "key_revoked")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "k", "scopes": ["everything"]},
        {"name": "k", "kind": "session"},
        {"name": "k", "origins": ["example.com"]},
        {"name": "k", "origins": ["https://example.com/path"]},
        {"name": "k", "expires_at": "tomorrow"},
        {"name": "k", "expires_at": 0},
        {"name": "k", "expires_at": "0001-01-01T00:00:00+23:00"},
        {"name": "k", "bots": ["support", "nobody"]},
        {"name": "k", "kind": "publishable", "role": "viewer"},
        {"name": "k", "kind": "publishable", "scopes": ["chat"]},
        {"name": "k", "kind": "conversation", "scopes": []},
        {"name": "k", "kind": "admin", "role": "viewer"},
        {"name": "k", "kind": "secret", "origins": ["https://example.com"]},
        {"name": "k", "limits": {"requests_per_minute": -1}},
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(
    gateway: Gateway, body: dict[str, object]
) -> None:
    reply = await gateway.admin.post("/v1/keys", body)

    assert (reply.status, reply.code) == (422, "validation_failed")


@pytest.mark.parametrize(
    ("kind", "change", "pointer"),
    [
        ("secret", {"origins": ["https://example.com"]}, "/origins"),
        ("secret", {"role": "admin"}, "/role"),
        ("admin", {"role": "viewer"}, "/role"),
        ("publishable", {"scopes": ["chat"]}, "/scopes"),
        ("publishable", {"role": "editor"}, "/role"),
        ("secret", {"bots": ["nobody"]}, "/bots/0"),
    ],
)
async def test_a_key_cannot_be_changed_into_one_that_makes_no_sense(
    gateway: Gateway, kind: str, change: dict[str, object], pointer: str
) -> None:
    made = await gateway.admin.post("/v1/keys", {"name": "k", "kind": kind})

    reply = await gateway.admin.call("PATCH", f"/v1/keys/{made.json['id']}", change)

    assert (reply.status, reply.code) == (422, "validation_failed")
    assert [error["pointer"] for error in reply.json["errors"]] == [pointer]

"""Visitors: a publishable key opens a session for a page, and its token opens nothing else."""

from tests.api.native.gateway import Client, Gateway

SITE = "https://example.com"


async def page(gateway: Gateway, *, name: str = "page") -> Client:
    """A page of the site, with its publishable key."""
    key = await gateway.key(kind="publishable", origins=(SITE,), name=name)
    return gateway.api.with_key(key, Origin=SITE)


async def test_a_page_opens_a_session_and_its_visitor_talks(gateway: Gateway) -> None:
    opened = await (await page(gateway)).post("/v1/widget/sessions", {})

    assert opened.status == 201
    visitor = gateway.api.with_key(opened.json["token"])
    said = await visitor.say("Hello")
    assert said.json["session_id"] == opened.json["session_id"]
    assert said.json["participant_id"] == opened.json["participant_id"]
    read = await visitor.get(f"/v1/sessions/{opened.json['session_id']}/messages")
    assert [m["role"] for m in read.json["data"]] == ["assistant", "user"]


async def test_a_publishable_key_opens_nothing_else(gateway: Gateway) -> None:
    site = await page(gateway)

    assert (await site.say("Hi")).code == "insufficient_scope"
    assert (await site.get("/v1/sessions")).status == 403


async def test_a_page_of_another_origin_is_refused(gateway: Gateway) -> None:
    site = await page(gateway)

    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
        reply = await site.with_key(site.key, **headers).post("/v1/widget/sessions", {})
        assert (reply.status, reply.code) == (403, "origin_not_allowed")


async def test_a_secret_key_opens_no_visits(gateway: Gateway) -> None:
    assert (await gateway.api.post("/v1/widget/sessions", {})).status == 403


async def test_a_visitor_reaches_only_their_own_session(gateway: Gateway) -> None:
    site = await page(gateway)
    mine = (await site.post("/v1/widget/sessions", {})).json
    theirs = (await site.post("/v1/widget/sessions", {})).json
    turn = (await gateway.api.with_key(theirs["token"]).say("Hi")).json["id"]
    visitor = gateway.api.with_key(mine["token"])

    assert (await visitor.say("Hi", session=theirs["session_id"])).status == 404
    assert (await visitor.get(f"/v1/sessions/{theirs['session_id']}")).status == 404
    assert (await visitor.get(f"/v1/sessions/{theirs['session_id']}/messages")).status == 404
    assert (await visitor.get(f"/v1/turns/{turn}")).status == 404
    assert (await visitor.get(f"/v1/turns/{turn}/events")).status == 404
    assert (await visitor.post(f"/v1/turns/{turn}/cancel")).status == 404


async def test_a_visitor_manages_nothing(gateway: Gateway) -> None:
    opened = (await (await page(gateway)).post("/v1/widget/sessions", {})).json
    visitor = gateway.api.with_key(opened["token"])
    session = f"/v1/sessions/{opened['session_id']}"

    assert (await visitor.get("/v1/sessions")).status == 403
    assert (await visitor.post("/v1/sessions", {})).status == 403
    assert (await visitor.call("PATCH", session, {"title": "x"})).status == 403
    assert (await visitor.call("DELETE", session)).status == 403
    assert (await visitor.get("/v1/participants")).status == 403
    assert (await visitor.get("/v1/bots")).status == 403
    assert (await visitor.get("/v1/keys")).status == 403
    assert (await visitor.post("/v1/widget/sessions", {})).status == 403
    assert (await visitor.get(f"{session}/messages?visibility=all")).status == 403


async def test_a_visitor_cannot_speak_as_somebody_else(gateway: Gateway) -> None:
    opened = (await (await page(gateway)).post("/v1/widget/sessions", {})).json

    said = await gateway.api.with_key(opened["token"]).say(
        "Hi", participant={"external_id": "boss"}
    )

    assert said.json["participant_id"] == opened["participant_id"]


async def test_a_token_can_be_renewed_for_the_same_session(gateway: Gateway) -> None:
    site = await page(gateway)
    opened = (await site.post("/v1/widget/sessions", {})).json

    renewed = await site.post("/v1/widget/sessions", {"token": opened["token"]})

    assert renewed.status == 201
    assert renewed.json["session_id"] == opened["session_id"]


async def test_a_token_of_another_key_is_not_renewed(gateway: Gateway) -> None:
    opened = (await (await page(gateway)).post("/v1/widget/sessions", {})).json
    other = await page(gateway, name="other")

    assert (await other.post("/v1/widget/sessions", {"token": opened["token"]})).status == 403
    assert (await other.post("/v1/widget/sessions", {"token": "gw_st_x.y"})).status == 401


async def test_revoking_the_key_of_a_page_closes_its_visits(gateway: Gateway) -> None:
    site = await page(gateway, name="site")
    opened = (await site.post("/v1/widget/sessions", {})).json
    visitor = gateway.api.with_key(opened["token"])
    [key] = [k for k in await gateway.services.keys.keys(None) if k.name == "site"]
    await visitor.say("Hi")

    await gateway.services.keys.revoke(None, key.id)

    assert (await visitor.say("Hi")).status == 401


async def test_a_forged_token_is_refused(gateway: Gateway) -> None:
    opened = (await (await page(gateway)).post("/v1/widget/sessions", {})).json
    forged = opened["token"][:-2] + ("AA" if not opened["token"].endswith("AA") else "BB")

    reply = await gateway.api.with_key(forged).say("Hi")

    assert (reply.status, reply.code) == (401, "invalid_credentials")


async def test_a_page_may_call_across_origins_with_its_token(gateway: Gateway) -> None:
    site = await page(gateway)

    opened = await site.post("/v1/widget/sessions", {})
    said = await gateway.api.with_key(opened.json["token"], Origin=SITE).say("Hi")

    for reply in (opened, said):
        assert reply.headers["Access-Control-Allow-Origin"] == SITE
        assert "Origin" in reply.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in reply.headers


async def test_a_token_whose_session_is_gone_is_not_renewed(gateway: Gateway) -> None:
    site = await page(gateway)
    opened = (await site.post("/v1/widget/sessions", {})).json
    await gateway.api.call("DELETE", f"/v1/sessions/{opened['session_id']}")

    reply = await site.post("/v1/widget/sessions", {"token": opened["token"]})

    assert (reply.status, reply.code) == (404, "not_found")


async def test_a_visit_may_be_to_a_certain_bot(gateway: Gateway) -> None:
    opened = await (await page(gateway)).post("/v1/widget/sessions", {"bot": "sales"})

    said = await gateway.api.with_key(opened.json["token"]).say("Hi")

    assert said.json["bot"] == "sales"

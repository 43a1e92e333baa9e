"""Bots, agents, channels, health, version, description: what a caller can learn of the gateway."""

from gateway.api.native.routes import ENDPOINTS
from gateway.service.health import Check
from tests.api.native.conftest import Start
from tests.api.native.gateway import Gateway


async def test_a_key_sees_the_bots_it_may_use(gateway: Gateway) -> None:
    narrow = await gateway.client(bots=frozenset({"sales"}))

    assert [b["slug"] for b in (await gateway.api.get("/v1/bots")).json["data"]] == [
        "sales",
        "support",
    ]
    assert [b["slug"] for b in (await narrow.get("/v1/bots")).json["data"]] == ["sales"]
    assert (await gateway.api.get("/v1/bots/support")).json["start_agent"] == "Desk"
    assert (await narrow.get("/v1/bots/support")).status == 404
    assert (await gateway.api.get("/v1/bots/elsewhere")).status == 404


async def test_instructions_are_for_admins(gateway: Gateway) -> None:
    seen = await gateway.api.get("/v1/agents/Desk")
    known = await gateway.admin.get("/v1/agents/Desk")

    assert seen.json["instructions"] is None
    assert known.json["instructions"] == "Greet."
    assert seen.json["handoffs"] == ["Billing"]
    assert (await gateway.api.get("/v1/agents/Nobody")).status == 404


async def test_agents_can_be_listed_by_bot(gateway: Gateway) -> None:
    all_agents = await gateway.api.get("/v1/agents")
    one = await gateway.api.get("/v1/agents?bot=sales")

    assert [a["name"] for a in all_agents.json["data"]] == ["Seller", "Desk", "Billing"]
    assert [a["name"] for a in one.json["data"]] == ["Seller"]


async def test_the_built_in_channels_are_there(gateway: Gateway) -> None:
    listed = await gateway.api.get("/v1/channels")

    assert [(c["id"], c["state"]) for c in listed.json["data"]] == [
        ("api", "connected"),
        ("web", "connected"),
    ]
    assert (await gateway.api.get("/v1/channels/web")).status == 200
    assert (await gateway.api.get("/v1/channels/tg")).status == 404


async def test_a_channel_shows_what_waits_in_it(gateway: Gateway) -> None:
    await gateway.api.post("/v1/chat", {"input": "wait a moment", "background": True})

    busy = await gateway.api.get("/v1/channels/api")
    idle = await gateway.api.get("/v1/channels/web")

    assert (busy.json["unfinished_turns"], busy.json["undelivered_parts"]) == (1, 0)
    assert (idle.json["unfinished_turns"], idle.json["undelivered_parts"]) == (0, 0)
    assert idle.json["ignored_events"] == {}


async def test_health_and_version_need_no_key(gateway: Gateway) -> None:
    nobody = gateway.api.with_key(None)

    assert (await nobody.get("/healthz")).json == {"status": "ok"}
    ready = await nobody.get("/readyz")
    assert (ready.status, ready.json["status"]) == (200, "ok")
    assert (await nobody.get("/v1/version")).json["version"]


async def test_a_stopping_gateway_is_alive_and_not_ready(gateway: Gateway) -> None:
    gateway.services.health.is_draining = True

    ready = await gateway.api.get("/readyz")

    assert (ready.status, ready.json["status"]) == (503, "unavailable")
    draining = next(c for c in ready.json["checks"] if c["name"] == "draining")
    assert not draining["ok"]
    assert (await gateway.api.get("/healthz")).status == 200


async def test_a_gateway_that_accepts_slowly_is_not_ready(gateway: Gateway) -> None:
    gateway.parts.flow.intake.times.note(2.5)

    ready = await gateway.api.get("/readyz")

    assert ready.status == 503
    assert [c["name"] for c in ready.json["checks"] if not c["ok"]] == ["accepting"]


async def test_checks_are_shown_on_this_machine_and_to_admins_only(start: Start) -> None:
    async with start(trusted_proxies=("127.0.0.1",)) as gateway:
        away = {"X_Forwarded_For": "203.0.113.9"}

        stranger = await gateway.api.with_key(None).get("/readyz", **away)
        caller = await gateway.api.get("/readyz", **away)
        admin = await gateway.admin.get("/readyz", **away)
        here = await gateway.api.with_key(None).get("/readyz")

    assert [r.json["checks"] is None for r in (stranger, caller, admin, here)] == [
        True,
        True,
        False,
        False,
    ]


async def test_a_check_that_hangs_or_fails_does_not_break_the_others(gateway: Gateway) -> None:
    checks = await gateway.services.health.readiness()

    assert Check("draining", None) in checks


async def test_every_route_is_described_and_everything_described_is_a_route(
    gateway: Gateway,
) -> None:
    described = (await gateway.api.with_key(None).get("/v1/openapi.json")).json["paths"]

    routed = {
        (route.method, route.resource.canonical)
        for route in gateway.app.router.routes()
        if route.method != "HEAD" and route.resource is not None
    }
    assert routed == {(m.upper(), path) for path, ops in described.items() for m in ops}


async def test_the_description_names_the_rules_of_places_and_headers(gateway: Gateway) -> None:
    described = (await gateway.api.get("/v1/openapi.json")).json["paths"]

    put = described["/v1/participants/by-identity/{channel}/{external_id}"]["put"]
    places = {each["name"]: each["schema"] for each in put["parameters"]}
    assert "telegram" in places["channel"]["enum"]
    assert places["external_id"]["maxLength"] == 256
    chat = described["/v1/chat"]["post"]
    headers = {each["name"]: each["schema"] for each in chat["parameters"]}
    assert headers["Idempotency-Key"]["pattern"] == "^[!-~]{1,255}$"
    assert all("431" in op["responses"] for path in described.values() for op in path.values())


async def test_the_description_is_not_sent_again_to_who_has_it(gateway: Gateway) -> None:
    first = await gateway.api.get("/v1/openapi.json")

    again = await gateway.api.get("/v1/openapi.json", If_None_Match=first.headers["ETag"])

    assert again.status == 304


async def test_the_readable_page_shows_every_path_and_runs_no_script(gateway: Gateway) -> None:
    page = await gateway.api.with_key(None).get("/docs")

    text = page.body.decode()
    assert page.headers["Content-Type"].startswith("text/html")
    assert all(f"<code>{endpoint.path}</code>" in text for endpoint in ENDPOINTS)
    assert "<script" not in text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert 'id="error-session_busy"' in text


def test_operations_have_names_of_their_own() -> None:
    names = [endpoint.name for endpoint in ENDPOINTS]

    assert len(set(names)) == len(names)

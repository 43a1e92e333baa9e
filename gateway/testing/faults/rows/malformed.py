"""F28: bodies that are no documents are refused on every route, and nothing is stored of them.

The routes are read from the description the gateway serves, so that a new one is judged with the
others. The native API and the chat page answer 4xx as a problem (RFC 9457). The Telegram webhook
answers 200 and keeps the body for the operator: the platform would repeat what is refused for a day
and hold up everything behind it. Nowhere is there an answer of 5xx, or a trace in the log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from yarl import URL

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.malformed_bodies import (
    DOUBTFUL,
    GOOD,
    MISTYPED,
    NOT_JSON,
    TARGETS,
    Malformed,
    odd_updates,
)
from gateway.testing.faults.props.raw_webhook import RawWebhook
from gateway.testing.kills.settled import errors_in_log, wait_until_settled
from gateway.testing.kills.witness import Violation
from gateway.testing.scene import (
    DESK,
    PATIENCE_S,
    SCRIPTED,
    Answered,
    Caller,
    on_telegram,
    serving,
)
from gateway.testing.telegram.endpoint import TelegramServer

PROBLEM: Final = "application/problem+json"
MEMBERS: Final = frozenset(
    {"type", "title", "status", "detail", "instance", "code", "request_id", "retryable"}
)
TALK: Final = "/talk/support/session"
TALK_MAX_BYTES: Final = 4096
LISTS: Final = ("sessions", "participants", "keys")
MAY_CHANGE: Final = "last_used_at"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a malformed request was answered; `expected` is the one right status.

    `is_silent`: a refusal has no body, as strangers at a webhook get none.
    """

    where: str
    sent: str
    expected: int
    answer: Answered
    is_silent: bool = False


def judge_stored(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Violation]:
    """Everything that is there afterwards and was not, or is otherwise, or gone."""
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    return [
        Violation("nothing is stored of what is refused", name, str(after.get(name))[:200])
        for name in sorted(changed)
    ]


def judge_replies(replies: Sequence[Reply]) -> list[Violation]:
    """Every answer that has another status, or not the shape of a problem."""
    return [
        Violation("a malformed request is refused in shape", reply.where, f"{reply.sent}: {fault}")
        for reply in replies
        if (fault := _fault(reply)) is not None
    ]


def _fault(reply: Reply) -> str | None:
    answer = reply.answer
    if answer.status != reply.expected:
        return f"{answer.status} instead of {reply.expected}: {answer.text[:200]}"
    if reply.is_silent:
        return f"a body: {answer.text[:200]}" if answer.text else None
    if answer.status < 400:
        return None
    if not answer.headers.get("Content-Type", "").startswith(PROBLEM):
        return f"answered as {answer.headers.get('Content-Type')!r}"
    try:
        document = answer.json
    except ValueError:
        return "the problem is no JSON"
    if not isinstance(document, dict) or not document.keys() >= MEMBERS:
        return f"the problem lacks members: {answer.text[:200]}"
    if document["status"] != answer.status:
        return f"the problem says {document['status']}"
    return None


# ---------------------------------------------------------------- the run


@dataclass(frozen=True, slots=True)
class _Route:
    """A route that takes a body, and a key that opens it."""

    method: str
    path: str
    key: str
    may_be_empty: bool = False
    takes_json: bool = True

    def status(self, case: Malformed) -> int:
        """The right answer to that body; whoever takes no JSON refuses the type of most."""
        if self.path == TALK and len(case.body) > TALK_MAX_BYTES:
            return 413
        if self.takes_json:
            return case.status
        is_form = case.headers.get("Content-Type", "").startswith("multipart/")
        return 400 if is_form else 415

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"


async def _run(stage: Stage) -> Observation:
    async with TelegramServer() as telegram:
        config = SCRIPTED + DESK + on_telegram(telegram)
        async with serving(stage.folder, config) as (gateway, anybody):
            admin = await gateway.create_key("--role", "admin")
            page = await gateway.create_key("--publishable")
            caller = Caller(anybody.client, gateway.url, admin)
            await telegram.wait_for_calls("setWebhook", timeout_s=PATIENCE_S)
            routes = await _routes(caller, page=page)
            webhook = RawWebhook(caller.client, telegram)
            before = await _stored(caller)
            replies = [reply async for reply in _send_all(caller, routes, stage)]
            replies += [reply async for reply in _ask_all(caller)]
            replies += [reply async for reply in _post_all(webhook)]
            found = [*judge_replies(replies), *judge_stored(before, await _stored(caller))]
            odd = [reply async for reply in _post_odd(webhook)]
            found += judge_replies(odd)
            found += await wait_until_settled(gateway, patience_s=PATIENCE_S)
            found += errors_in_log(gateway.log)
    count = len(replies) + len(odd)
    return Observation(f"{count} requests, {len(routes) + 1} routes that take a body", found)


async def _routes(caller: Caller, *, page: str) -> list[_Route]:
    """The described routes that take a body, with existing things in their paths; the page's."""
    turn = await caller.say("Hello")
    ids = {
        "sessions": turn["session_id"],
        "turns": turn["id"],
        "participants": turn["participant_id"],
        "keys": (await caller.get("/v1/keys"))["data"][0]["id"],
    }
    document = await caller.get("/v1/openapi.json")
    routes = [_Route("post", TALK, key="")]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "requestBody" not in operation:
                continue
            key = page if operation.get("x-scope") == "widget" else caller.key
            body = operation["requestBody"]
            routes.append(
                _Route(
                    method,
                    _filled(path, ids),
                    key,
                    may_be_empty=not body["required"],
                    takes_json="application/json" in body["content"],
                )
            )
    return routes


def _filled(path: str, ids: Mapping[str, str]) -> str:
    names = {"{id}": ids.get(path.split("/")[2], ""), "{channel}": "api", "{external_id}": "x"}
    for name, value in names.items():
        path = path.replace(name, value)
    return path


async def _send_all(caller: Caller, routes: Sequence[_Route], stage: Stage) -> AsyncIterator[Reply]:
    """Every malformed body to every route; a large run cuts a good one after every byte."""
    cuts = range(1, len(GOOD), stage.pick(25, 1))
    cases = [*NOT_JSON, *DOUBTFUL, *MISTYPED]
    cases += [Malformed(f"cut after {size} bytes", GOOD[:size]) for size in cuts]
    for route in routes:
        stage.tell(route.name)
        for case in cases:
            if case.body or not route.may_be_empty:
                answer = await _send(caller, route, case)
                yield Reply(route.name, case.name, route.status(case), answer)


async def _send(caller: Caller, route: _Route, case: Malformed) -> Answered:
    headers = dict(case.headers)
    if route.key:
        headers["Authorization"] = f"Bearer {route.key}"
    async with caller.client.request(
        route.method, caller.url + route.path, data=case.body, headers=headers
    ) as answer:
        return Answered(answer.status, answer.headers, await answer.text())


async def _ask_all(caller: Caller) -> AsyncIterator[Reply]:
    headers = {"Authorization": f"Bearer {caller.key}"}
    for target, status in TARGETS.items():
        address = URL(caller.url + target, encoded=True)
        async with caller.client.get(address, headers=headers) as answer:
            got = Answered(answer.status, answer.headers, await answer.text())
        yield Reply("GET", target, status, got)


async def _post_all(webhook: RawWebhook) -> AsyncIterator[Reply]:
    """To the webhook: from the platform, which must be told yes, and from a stranger."""
    for case in (*NOT_JSON, *DOUBTFUL):
        yield Reply("webhook", case.name, 200, await webhook.post(case.body))
        answer = await webhook.post(case.body, secret=None)
        yield Reply("webhook, a stranger", case.name, 401, answer, is_silent=True)


async def _post_odd(webhook: RawWebhook) -> AsyncIterator[Reply]:
    """Updates of the right form with odd values: taken, whatever becomes of them."""
    for name, body in odd_updates():
        yield Reply("webhook", name, 200, await webhook.post(body))


async def _stored(caller: Caller) -> dict[str, Any]:
    """What a caller may know of, item by item."""
    items: dict[str, Any] = {}
    for name in LISTS:
        for item in (await caller.get(f"/v1/{name}?limit=100"))["data"]:
            items[item["id"]] = {key: item[key] for key in item if key != MAY_CHANGE}
            if name == "participants":
                place = f"/v1/participants/{item['id']}/data"
                items[place] = await caller.get(place)
            if name == "sessions":
                place = f"/v1/sessions/{item['id']}/messages"
                items[place] = await caller.get(place)
    return items


MALFORMED: Final = Fault(
    id="F28",
    name="malformed requests",
    promise="4xx in the contract's shape, nothing stored",
    injected="bodies that are no JSON, or doubtful, on all routes",
    run=_run,
)

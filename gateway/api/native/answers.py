"""How a turn is answered: at once, when it is over, or event by event."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiohttp import web

from gateway.api import sse
from gateway.api.http.callers import bearer
from gateway.api.http.endpoints import Answer, Call
from gateway.api.http.errors import (
    ErrorPlace,
    Internal,
    ModelFailed,
    TurnTimeout,
    add_error_headers,
)
from gateway.api.http.state import STATE
from gateway.api.native.problems import native_envelope
from gateway.api.native.turn_events import frames
from gateway.api.native.wire.common import MAX_WAIT_S
from gateway.api.native.wire.turns import accepted_out, turn_out
from gateway.domain.turns import Turn
from gateway.errors import Conflict, RequestError, Unauthorized, Unavailable
from gateway.service.chat import Started

REPLAYED = {"Idempotent-Replayed": "true"}

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,4})", re.IGNORECASE)
_UNAVAILABLE = frozenset({"model_unavailable", "overloaded", "draining"})
_TOO_LONG = frozenset({"turn_timeout"})
_OURS = frozenset({"internal", "poison", "bot_gone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How the caller of a turn wants its answer."""

    stream: bool = False
    background: bool = False


async def answer_turn(call: Call, started: Started, wish: Wish) -> Answer | web.StreamResponse:
    """The answer to a request that started a turn, or repeats one that did.

    A plain repeat while the turn still runs, a failed turn, and a gateway that stops before the
    turn's time has come are answered by a problem that names the turn's place.
    """
    if wish.stream:
        return await stream_turn(call, started, after=None, is_repeat=started.is_replay)
    again = REPLAYED if started.is_replay else {}
    place = turn_place(started.turn)
    if wish.background:
        document = accepted_out(started.turn)
        return Answer(status=202, document=document, headers={"Location": place, **again})
    if started.is_replay and not started.turn.is_over:
        return refusal(call, _in_progress(), headers={"Location": place})
    limit_s = call.settings.turn_wait_s
    preferred_s = preferred_wait(call.request)
    wait_s = limit_s if preferred_s is None else min(limit_s, preferred_s)
    try:
        turn = await call.services.chat.result(call.principal, started, timeout_s=wait_s)
    except Unavailable as error:
        return refusal(call, error, headers={"Location": place})
    if not turn.is_over:
        headers = {"Location": place, "Retry-After": "1"}
        return Answer(status=202, document=turn_out(turn), headers=headers)
    if turn.state in ("failed", "dead"):
        return refusal(call, turn_error(turn), headers={"Location": place, **again})
    return Answer(document=turn_out(turn), headers=again)


async def stream_turn(
    call: Call, started: Started, *, after: int | None, is_repeat: bool = False
) -> web.StreamResponse:
    """The events of a turn above `after`, past and to come; None = from its start.

    `is_repeat`: this request repeats the one that started the turn.
    """
    access, chat = call.services.access, call.services.chat
    text = bearer(call.request)

    async def may_go_on() -> bool:
        try:
            await access.authenticate(text)
        except Unauthorized:
            return False
        return True

    events = chat.events(call.principal, started, after=after or 0)
    return await sse.stream(
        call.request,
        frames(started.turn, events, from_start=after is None),
        settings=call.settings,
        may_go_on=may_go_on,
        headers={"Location": turn_place(started.turn), **(REPLAYED if is_repeat else {})},
    )


def refusal(call: Call, error: RequestError, *, headers: dict[str, str]) -> web.Response:
    """An error as an answer that carries headers of its own."""
    place = ErrorPlace(call.request.path, call.request[STATE].request_id)
    response = native_envelope(call.settings.public_url)(error, place)
    add_error_headers(response, error)
    response.headers.update(headers)
    return response


def turn_error(turn: Turn) -> RequestError:
    """What a caller who waited for a turn is told when it failed."""
    error = turn.error
    if error is None or error.code in _OURS:
        return Internal("The turn failed on our side.")
    if error.code in _TOO_LONG:
        return TurnTimeout(error.message, code=error.code)
    if error.code in _UNAVAILABLE:
        return Unavailable(error.message, code=error.code, retry_after_s=30)
    return ModelFailed(error.message, code=error.code)


def turn_place(turn: Turn) -> str:
    """The path of a turn."""
    return f"/v1/turns/{turn.id}"


def preferred_wait(request: web.Request) -> int | None:
    """Seconds of `Prefer: wait=N`, or 0 for `respond-async` (RFC 7240, 4.1 and 4.3).

    At most half a minute: connections that look dead are cut by proxies.
    """
    prefer = request.headers.get("Prefer")
    if prefer is None:
        return None
    found = _WAIT.search(prefer)
    if found:
        return min(int(found[1]), MAX_WAIT_S)
    return 0 if "respond-async" in prefer.lower() else None


def _in_progress() -> Conflict:
    return Conflict(
        "The first request with this key is still at work.",
        code="idempotency_in_progress",
        retry_after_s=1,
    )

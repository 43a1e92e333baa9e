"""Turns after they were started: look, wait, follow, cancel, give tool results."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field

from gateway.api.http.endpoints import Answer, Call, Endpoint
from gateway.api.native import ids
from gateway.api.native.answers import (
    Wish,
    answer_turn,
    preferred_wait,
    stream_turn,
)
from gateway.api.native.chat import TURN_ERRORS
from gateway.api.native.wire.common import Parameters, WaitQuery
from gateway.api.native.wire.events import EVENTS
from gateway.api.native.wire.turns import ToolResultsIn, TurnOut, turn_out
from gateway.errors import BadRequest, Conflict, FieldError, Unprocessable

_MAX_DIGITS = 15
"""No event has a longer number; every reader of JSON knows such a one exactly."""


class AfterQuery(Parameters):
    """From where to read on; the header `Last-Event-ID` says the same."""

    after: int | None = Field(None, ge=0, lt=10**_MAX_DIGITS)


async def read_turn(call: Call) -> Answer:
    """A turn as it stands, or as it stands when it is over or the wait is."""
    wait_s = call.query(WaitQuery).wait or preferred_wait(call.request)
    chat, turn_id = call.services.chat, ids.turn_id(call.path("id"))
    if wait_s:
        turn = await chat.wait(call.principal, turn_id, timeout_s=wait_s)
    else:
        turn = await chat.turn(call.principal, turn_id)
    headers = {} if turn.is_over else {"Retry-After": "1"}
    if wait_s and "Prefer" in call.request.headers:
        headers["Preference-Applied"] = f"wait={wait_s}"
    return Answer(document=turn_out(turn), headers=headers)


async def read_events(call: Call) -> web.StreamResponse:
    """The events of a turn, past and to come."""
    after = call.query(AfterQuery).after
    last = call.request.headers.get("Last-Event-ID", "").strip()
    if after is None and last:
        if not last.isascii() or not last.isdigit() or len(last) > _MAX_DIGITS:
            raise BadRequest("Last-Event-ID must be a number.", code="invalid_cursor")
        after = int(last)
    turn_id = ids.turn_id(call.path("id"))
    started = await call.services.chat.follow(call.principal, turn_id)
    if call.request.method == "HEAD":
        return web.Response(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    return await stream_turn(call, started, after=after)


async def cancel_turn(call: Call) -> Answer:
    """Stop a turn; one that was stopped before stays stopped."""
    turn = await call.services.chat.cancel(call.principal, ids.turn_id(call.path("id")))
    if turn.state in ("done", "failed", "dead"):
        raise Conflict("The turn has come to its end already.", code="already_completed")
    return Answer(document=turn_out(turn))


async def give_tool_results(call: Call) -> Answer | web.StreamResponse:
    """Go on with a turn that requires action."""
    body = await call.body(ToolResultsIn)
    results = {result.call_id: result.content for result in body.results}
    if len(results) != len(body.results):
        fields = [FieldError("/results", "duplicate", "a call has two results")]
        raise Unprocessable("The request is not valid.", fields=fields)
    chat, turn_id = call.services.chat, ids.turn_id(call.path("id"))
    started = await chat.resume(call.principal, turn_id, results, wants_stream=body.stream)
    if body.stream:
        return await stream_turn(call, started, after=0)
    return await answer_turn(call, started, Wish(background=body.background))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/turns/{id}",
        handler=read_turn,
        name="readTurn",
        summary="Read a turn, or wait for its end",
        tag="Chat",
        demands="chat",
        query=WaitQuery,
        answers={200: TurnOut},
        errors=(404,),
    ),
    Endpoint(
        method="GET",
        path="/v1/turns/{id}/events",
        handler=read_events,
        name="readTurnEvents",
        summary="Follow a turn: what was and what comes, as server-sent events",
        tag="Chat",
        demands="chat",
        query=AfterQuery,
        answers={},
        streams=EVENTS,
        errors=(404, 410),
    ),
    Endpoint(
        method="POST",
        path="/v1/turns/{id}/cancel",
        handler=cancel_turn,
        name="cancelTurn",
        summary="Stop a turn",
        tag="Chat",
        demands="chat",
        answers={200: TurnOut},
        errors=(404, 409),
    ),
    Endpoint(
        method="POST",
        path="/v1/turns/{id}/tool_results",
        handler=give_tool_results,
        name="giveToolResults",
        summary="Give the results of client tools and go on with the turn",
        tag="Chat",
        demands="chat",
        body=ToolResultsIn,
        answers={200: TurnOut, 202: TurnOut},
        streams=EVENTS,
        errors=TURN_ERRORS,
    ),
)

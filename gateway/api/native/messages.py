"""The transcript of a session, piece by piece."""

from __future__ import annotations

from gateway.api.http.endpoints import Answer, Call, Endpoint
from gateway.api.native import ids
from gateway.api.native.lists import asked_page, links, next_cursor
from gateway.api.native.wire.common import ListOut
from gateway.api.native.wire.messages import MessageOut, MessageQuery, message_out


async def list_messages(call: Call) -> Answer:
    """Messages of a session; with `wait` and `order=asc` also those still to come."""
    query = call.query(MessageQuery)
    session_id = ids.session_id(call.path("id"))
    with_internal = query.visibility == "all"
    listing = await call.services.history.messages(
        call.principal,
        session_id,
        page=asked_page(call, query),
        with_internal=with_internal,
        wait_s=query.wait or 0,
    )
    cursor = query.cursor if query.wait else None
    if listing.items and (listing.has_more or query.wait):
        cursor = next_cursor(call, query, (listing.items[-1].seq,))
    body = ListOut[MessageOut](
        data=[
            message_out(message, session_id=session_id, with_tools=with_internal)
            for message in listing.items
        ],
        has_more=listing.has_more,
        next_cursor=cursor,
    )
    return Answer(document=body, headers=links(call, query, cursor))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/sessions/{id}/messages",
        handler=list_messages,
        name="listMessages",
        summary="Read the transcript of a session",
        tag="Sessions",
        demands="sessions:read",
        query=MessageQuery,
        answers={200: ListOut[MessageOut]},
        errors=(404,),
    ),
)

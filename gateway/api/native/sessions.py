"""Sessions: make, list, read, change, end, remove."""

from __future__ import annotations

from gateway.api.http.endpoints import Answer, Call, Endpoint
from gateway.api.native import ids
from gateway.api.native.chat import Speaker, find_speaker
from gateway.api.native.etags import tagged, wanted_version
from gateway.api.native.lists import asked_page, dated_cursor, links
from gateway.api.native.wire.common import ListOut
from gateway.api.native.wire.sessions import (
    SessionIn,
    SessionOut,
    SessionPatch,
    SessionQuery,
    session_out,
)
from gateway.api.native.wire.turns import ParticipantRef
from gateway.domain.ids import ParticipantId, is_id
from gateway.domain.people import IdentityKey
from gateway.errors import NotFound
from gateway.service.history import SessionChanges, SessionFilter, SessionRequest

_CHANGEABLE = frozenset({"title", "tags", "metadata", "state", "agent"})


async def create_session(call: Call) -> Answer:
    """Make a session before there is a message."""
    body = await call.body(SessionIn)
    call.services.history.bot(call.principal, body.bot)
    request = SessionRequest(
        participant_id=await _participant(call, body.participant, platform=body.channel),
        bot=body.bot,
        agent=body.agent,
        channel=body.channel,
        metadata=body.metadata,
        state=body.initial_state,
    )
    session = await call.services.history.create(call.principal, request)
    headers = {"Location": f"/v1/sessions/{session.id}"}
    answer = Answer(status=201, document=session_out(session), headers=headers)
    return tagged(call, answer, session.version)


async def list_sessions(call: Call) -> Answer:
    """The sessions a key reaches."""
    query = call.query(SessionQuery)
    which = SessionFilter(
        participant_id=await _present(call, query.participant_id),
        channel=query.channel,
        bot=query.bot,
        agent=query.agent,
        status=query.status,
        tag=query.tag,
        updated_after=query.updated_after,
        updated_before=query.updated_before,
    )
    page = asked_page(call, query)
    listing = await call.services.history.sessions(call.principal, which, page=page)
    cursor = dated_cursor(call, query, listing)
    body = ListOut[SessionOut](
        data=[session_out(session) for session in listing.items],
        has_more=listing.has_more,
        next_cursor=cursor,
    )
    return Answer(document=body, headers=links(call, query, cursor))


async def read_session(call: Call) -> Answer:
    """One session."""
    session = await call.services.history.session(call.principal, ids.session_id(call.path("id")))
    return tagged(call, Answer(document=session_out(session)), session.version)


async def change_session(call: Call) -> Answer:
    """Change what is given."""
    body = await call.body(SessionPatch)
    changes = SessionChanges(
        fields=frozenset(body.model_fields_set & _CHANGEABLE),
        title=body.title,
        tags=tuple(dict.fromkeys(body.tags)),
        metadata=body.metadata,
        state=body.state,
        agent=body.agent,
    )
    session = await call.services.history.change(
        call.principal,
        ids.session_id(call.path("id")),
        changes,
        if_version=wanted_version(call),
    )
    return tagged(call, Answer(document=session_out(session)), session.version)


async def end_session(call: Call) -> Answer:
    """End a session; a second call changes nothing."""
    session_id = ids.session_id(call.path("id"))
    session = await call.services.history.end(call.principal, session_id, reason="api")
    return tagged(call, Answer(document=session_out(session)), session.version)


async def delete_session(call: Call) -> Answer:
    """Remove a session with its messages."""
    await call.services.history.delete(call.principal, ids.session_id(call.path("id")))
    return Answer(status=204)


async def _present(call: Call, text: str | None) -> ParticipantId | None:
    """The participant of a filter, under the id they have now."""
    if text is None or not is_id(text, "par"):
        return ParticipantId(text) if text else None
    asked = ParticipantId(text)
    try:
        return await call.services.standing.current(call.principal.project_id, asked)
    except NotFound:
        return asked


async def _participant(call: Call, ref: ParticipantRef | None, *, platform: str) -> ParticipantId:
    """Whose session it will be: the one named, or somebody new."""
    people = call.services.people
    if ref is None:
        return (await people.stranger(call.principal, platform=platform)).id
    speaker: Speaker = await find_speaker(call, ref)
    if speaker.participant_id is not None:
        return speaker.participant_id
    identity: IdentityKey | None = speaker.identity
    if identity is None:
        return (await people.stranger(call.principal, platform=platform)).id
    participant, _ = await people.put(call.principal, identity)
    return participant.id


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/sessions",
        handler=create_session,
        name="createSession",
        summary="Make a session",
        tag="Sessions",
        demands="sessions:write",
        body=SessionIn,
        answers={201: SessionOut},
        errors=(404, 409),
        takes_repeat_key=True,
        once=True,
        has_etag=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/sessions",
        handler=list_sessions,
        name="listSessions",
        summary="List sessions",
        tag="Sessions",
        demands="sessions:read",
        query=SessionQuery,
        answers={200: ListOut[SessionOut]},
    ),
    Endpoint(
        method="GET",
        path="/v1/sessions/{id}",
        handler=read_session,
        name="readSession",
        summary="Read a session",
        tag="Sessions",
        demands="sessions:read",
        answers={200: SessionOut, 304: None},
        errors=(404,),
        has_etag=True,
    ),
    Endpoint(
        method="PATCH",
        path="/v1/sessions/{id}",
        handler=change_session,
        name="changeSession",
        summary="Change a session",
        tag="Sessions",
        demands="sessions:write",
        body=SessionPatch,
        answers={200: SessionOut},
        errors=(404, 412),
        has_etag=True,
    ),
    Endpoint(
        method="POST",
        path="/v1/sessions/{id}/end",
        handler=end_session,
        name="endSession",
        summary="End a session",
        tag="Sessions",
        demands="sessions:write",
        answers={200: SessionOut},
        errors=(404,),
        has_etag=True,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/sessions/{id}",
        handler=delete_session,
        name="deleteSession",
        summary="Remove a session with its messages",
        tag="Sessions",
        demands="sessions:write",
        answers={204: None},
        errors=(404,),
    ),
)

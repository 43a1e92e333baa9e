"""Participants and the documents kept about them."""

from __future__ import annotations

from typing import get_args

from gateway.api.http.endpoints import Answer, Call, Endpoint
from gateway.api.native.etags import etag, tagged, wanted_version
from gateway.api.native.lists import asked_page, dated_cursor, links
from gateway.api.native.people_standing import present_id
from gateway.api.native.wire.common import ListOut, PageQuery
from gateway.api.native.wire.people import (
    DataOut,
    DataQuery,
    ParticipantIn,
    ParticipantOut,
    ParticipantPatch,
    participant_out,
)
from gateway.domain.people import IdentityKey, Platform
from gateway.errors import FieldError, PreconditionFailed, Unprocessable
from gateway.service.people import DataDocument

MAX_EXTERNAL_ID = 256
_PLATFORMS = frozenset(get_args(Platform))


async def put_participant(call: Call) -> Answer:
    """Find or make the participant of an identity."""
    body = await call.body(ParticipantIn)
    identity = IdentityKey(
        platform=call.path("channel"), external_id=call.path("external_id"), name=body.name
    )
    if identity.platform not in _PLATFORMS:
        raise _invalid("channel", "no such platform")
    if len(identity.external_id) > MAX_EXTERNAL_ID:
        raise _invalid("external_id", f"at most {MAX_EXTERNAL_ID} characters")
    people = call.services.people
    participant, is_new = await people.put(call.principal, identity, data=body.data)
    headers = {"Location": f"/v1/participants/{participant.id}"} if is_new else {}
    answer = Answer(
        status=201 if is_new else 200, document=participant_out(participant), headers=headers
    )
    return tagged(call, answer, participant.updated_at)


async def list_participants(call: Call) -> Answer:
    """The participants of the project."""
    query = call.query(PageQuery)
    page = asked_page(call, query)
    listing = await call.services.people.participants(call.principal, page=page)
    cursor = dated_cursor(call, query, listing)
    body = ListOut[ParticipantOut](
        data=[participant_out(participant) for participant in listing.items],
        has_more=listing.has_more,
        next_cursor=cursor,
    )
    return Answer(document=body, headers=links(call, query, cursor))


async def read_participant(call: Call) -> Answer:
    """One participant."""
    participant_id = await present_id(call)
    participant = await call.services.people.participant(call.principal, participant_id)
    return tagged(call, Answer(document=participant_out(participant)), participant.updated_at)


async def change_participant(call: Call) -> Answer:
    """Change what is given."""
    body = await call.body(ParticipantPatch)
    people, participant_id = call.services.people, await present_id(call)
    if "If-Match" in call.request.headers:
        present = await people.participant(call.principal, participant_id)
        if call.request.headers["If-Match"].strip() not in ("*", etag(present.updated_at)):
            raise PreconditionFailed("The participant was changed meanwhile.")
    participant = await people.change(
        call.principal, participant_id, name=body.name, metadata=body.metadata
    )
    return tagged(call, Answer(document=participant_out(participant)), participant.updated_at)


async def read_data(call: Call) -> Answer:
    """The document kept about a participant (and agent)."""
    participant_id = await present_id(call)
    agent = call.query(DataQuery).agent
    document = await call.services.people.data(call.principal, participant_id, agent=agent)
    return _document(call, document)


async def put_data(call: Call) -> Answer:
    """Replace that document."""
    document = await call.services.people.put_data(
        call.principal,
        await present_id(call),
        await call.document(),
        agent=call.query(DataQuery).agent,
        if_version=wanted_version(call),
    )
    return _document(call, document)


async def patch_data(call: Call) -> Answer:
    """Merge into that document (RFC 7396)."""
    document = await call.services.people.merge_data(
        call.principal,
        await present_id(call),
        await call.document(),
        agent=call.query(DataQuery).agent,
        if_version=wanted_version(call),
    )
    return _document(call, document)


def _document(call: Call, document: DataDocument) -> Answer:
    return tagged(call, Answer(document=DataOut(dict(document.value))), document.version)


def _invalid(name: str, detail: str) -> Unprocessable:
    fields = [FieldError(name, "invalid", detail)]
    return Unprocessable("The path is not valid.", fields=fields)


_DATA_ERRORS = (308, 404, 409, 412)

ENDPOINTS = (
    Endpoint(
        method="PUT",
        path="/v1/participants/by-identity/{channel}/{external_id}",
        handler=put_participant,
        name="putParticipant",
        summary="Find or make the participant of an identity",
        tag="Participants",
        demands="participants:write",
        places={
            "channel": {"enum": sorted(_PLATFORMS)},
            "external_id": {"minLength": 1, "maxLength": MAX_EXTERNAL_ID},
        },
        body=ParticipantIn,
        body_is_optional=True,
        answers={200: ParticipantOut, 201: ParticipantOut},
        has_etag=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/participants",
        handler=list_participants,
        name="listParticipants",
        summary="List participants",
        tag="Participants",
        demands="participants:read",
        query=PageQuery,
        answers={200: ListOut[ParticipantOut]},
    ),
    Endpoint(
        method="GET",
        path="/v1/participants/{id}",
        handler=read_participant,
        name="readParticipant",
        summary="Read a participant",
        tag="Participants",
        demands="participants:read",
        answers={200: ParticipantOut, 304: None},
        errors=(308, 404, 410),
        has_etag=True,
    ),
    Endpoint(
        method="PATCH",
        path="/v1/participants/{id}",
        handler=change_participant,
        name="changeParticipant",
        summary="Change a participant",
        tag="Participants",
        demands="participants:write",
        body=ParticipantPatch,
        answers={200: ParticipantOut},
        errors=(308, 404, 412),
        has_etag=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/participants/{id}/data",
        handler=read_data,
        name="readParticipantData",
        summary="Read the document kept about a participant",
        tag="Participants",
        demands="participants:read",
        query=DataQuery,
        answers={200: DataOut, 304: None},
        errors=(308, 404),
        has_etag=True,
    ),
    Endpoint(
        method="PUT",
        path="/v1/participants/{id}/data",
        handler=put_data,
        name="replaceParticipantData",
        summary="Replace the document kept about a participant (64 KiB at most)",
        tag="Participants",
        demands="participants:write",
        query=DataQuery,
        body=DataOut,
        answers={200: DataOut},
        errors=_DATA_ERRORS,
        has_etag=True,
    ),
    Endpoint(
        method="PATCH",
        path="/v1/participants/{id}/data",
        handler=patch_data,
        name="mergeParticipantData",
        summary="Merge into the document kept about a participant (RFC 7396)",
        tag="Participants",
        demands="participants:write",
        query=DataQuery,
        body=DataOut,
        answers={200: DataOut},
        errors=_DATA_ERRORS,
        has_etag=True,
    ),
)

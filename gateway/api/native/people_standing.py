"""How people stand: link codes, merging, blocking, consent; and where merged ids lead."""

from __future__ import annotations

from urllib.parse import quote

from gateway.api.http.endpoints import Answer, Call, Endpoint
from gateway.api.http.errors import MovedForGood
from gateway.api.native import ids
from gateway.api.native.etags import tagged
from gateway.api.native.wire.people import ParticipantOut, participant_out
from gateway.api.native.wire.standing import ConsentIn, LinkCodeOut, MergeIn, link_code_out
from gateway.domain.ids import ParticipantId
from gateway.domain.people import Participant


async def present_id(call: Call) -> ParticipantId:
    """The participant that the path names.

    Raises NotFound, and MovedForGood for one that was merged into another.
    """
    asked = ids.participant_id(call.path("id"))
    present = await call.services.standing.current(call.principal.project_id, asked)
    if present != asked:
        path = call.request.rel_url.raw_path.replace(quote(asked), quote(present), 1)
        query = call.request.rel_url.raw_query_string
        raise MovedForGood(
            f"This participant was merged into {present}.",
            location=f"{path}?{query}" if query else path,
        )
    return present


async def create_link_code(call: Call) -> Answer:
    """Make a code; it is in this answer and nowhere else."""
    made = await call.services.standing.make_code(call.principal.project_id, await present_id(call))
    document = link_code_out(made)
    return Answer(
        status=201, document=document, kept=document.model_copy(update={"code": made.nonce})
    )


def restore_link_code(call: Call, kept: bytes) -> LinkCodeOut:
    """The answer that made a code, with the code put back in place of the nonce."""
    document = LinkCodeOut.model_validate_json(kept)
    code = call.services.standing.code(document.code)
    return document.model_copy(update={"code": code})


async def merge_participants(call: Call) -> Answer:
    """Make one participant of two."""
    participant_id = await present_id(call)
    body = await call.body(MergeIn)
    participant = await call.services.standing.merge(
        call.principal.project_id,
        participant_id,
        source=ids.participant_id(body.source_id),
    )
    return _answer(call, participant)


async def block_participant(call: Call) -> Answer:
    """Hear a participant no more."""
    participant = await call.services.standing.block(
        call.principal.project_id, await present_id(call), is_blocked=True
    )
    return _answer(call, participant)


async def unblock_participant(call: Call) -> Answer:
    """Hear a participant again."""
    participant = await call.services.standing.block(
        call.principal.project_id, await present_id(call), is_blocked=False
    )
    return _answer(call, participant)


async def change_consent(call: Call) -> Answer:
    """Note whether a participant wants messages."""
    participant_id = await present_id(call)
    body = await call.body(ConsentIn)
    participant = await call.services.standing.opt_out(
        call.principal.project_id,
        participant_id,
        is_opted_out=body.opted_out,
        platform=body.channel,
    )
    return _answer(call, participant)


def _answer(call: Call, participant: Participant) -> Answer:
    return tagged(call, Answer(document=participant_out(participant)), participant.updated_at)


_ERRORS = (308, 404)

ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/participants/{id}/link-codes",
        handler=create_link_code,
        name="createLinkCode",
        summary="Make a code by which a person on another channel becomes this participant",
        tag="Participants",
        demands="participants:write",
        body_is_optional=True,
        answers={201: LinkCodeOut},
        errors=(*_ERRORS, 409),
        takes_repeat_key=True,
        once=True,
        restore=restore_link_code,
    ),
    Endpoint(
        method="POST",
        path="/v1/participants/{id}/merge",
        handler=merge_participants,
        name="mergeParticipants",
        summary="Make one participant of two; the source's id leads on",
        tag="Participants",
        demands="participants:write",
        body=MergeIn,
        answers={200: ParticipantOut},
        errors=(*_ERRORS, 409),
        has_etag=True,
    ),
    Endpoint(
        method="POST",
        path="/v1/participants/{id}/block",
        handler=block_participant,
        name="blockParticipant",
        summary="Hear a participant no more: messages are kept, not answered, nothing is sent",
        tag="Participants",
        demands="participants:write",
        answers={200: ParticipantOut},
        errors=_ERRORS,
        has_etag=True,
    ),
    Endpoint(
        method="POST",
        path="/v1/participants/{id}/unblock",
        handler=unblock_participant,
        name="unblockParticipant",
        summary="Hear a participant again",
        tag="Participants",
        demands="participants:write",
        answers={200: ParticipantOut},
        errors=_ERRORS,
        has_etag=True,
    ),
    Endpoint(
        method="POST",
        path="/v1/participants/{id}/consent",
        handler=change_consent,
        name="changeConsent",
        summary="Note whether a participant wants messages; an SMS STOP does the same",
        tag="Participants",
        demands="participants:write",
        body=ConsentIn,
        answers={200: ParticipantOut},
        errors=_ERRORS,
        has_etag=True,
    ),
)

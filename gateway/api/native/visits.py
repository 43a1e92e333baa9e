"""`POST /v1/widget/sessions`: a page's publishable key opens a session for its visitor."""

from __future__ import annotations

from datetime import datetime

from gateway.api.http.endpoints import Answer, Call, Endpoint
from gateway.api.native.wire.common import timestamp
from gateway.api.native.wire.keys import VisitIn, VisitOut
from gateway.domain.access import Principal
from gateway.domain.ids import KeyId, ParticipantId, SessionId
from gateway.errors import Forbidden
from gateway.service.visits import SessionGrant, Visit


async def open_visit(call: Call) -> Answer:
    """A session and a token for a visitor, or a fresh token for the session of an older one."""
    principal = call.principal
    _check_origin(principal, call.request.headers.get("Origin"))
    body = await call.body(VisitIn)
    visits = call.services.visits
    if body.token is not None:
        visit = await visits.renew(body.token)
        if visit.grant.key_id != principal.id:
            raise Forbidden("This token came by another key.")
    else:
        bot = call.services.history.bot(principal, body.bot)
        visit = await visits.open(bot, key_id=KeyId(principal.id))
    document = visit_out(visit)
    kept = document.model_copy(update={"token": ""})
    return Answer(status=201, document=document, kept=kept)


def restore_visit(call: Call, kept: bytes) -> VisitOut:
    """The answer that opened a visit, with its token signed again."""
    document = VisitOut.model_validate_json(kept)
    grant = SessionGrant(
        project_id=call.principal.project_id,
        session_id=SessionId(document.session_id),
        participant_id=ParticipantId(document.participant_id),
        bot=document.bot,
        expires_at=datetime.fromisoformat(document.expires_at),
        key_id=KeyId(call.principal.id),
    )
    return document.model_copy(update={"token": call.services.visits.token(grant)})


def visit_out(visit: Visit) -> VisitOut:
    """A visit as a document."""
    return VisitOut(
        token=visit.token,
        session_id=visit.grant.session_id,
        participant_id=visit.grant.participant_id,
        bot=visit.grant.bot,
        expires_at=timestamp(visit.grant.expires_at),
    )


def _check_origin(principal: Principal, origin: str | None) -> None:
    """Raise Forbidden unless the page's origin is one of the key's.

    A key without origins is not for pages: only calls that name no origin may use it.
    """
    is_allowed = origin in principal.origins if origin is not None else not principal.origins
    if not is_allowed:
        raise Forbidden("This key does not serve that origin.", code="origin_not_allowed")


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/widget/sessions",
        handler=open_visit,
        name="openVisit",
        summary="Open a session for a visitor of a page, or renew its token",
        tag="Visitors",
        demands="widget",
        body=VisitIn,
        body_is_optional=True,
        answers={201: VisitOut},
        errors=(404, 409),
        takes_repeat_key=True,
        once=True,
        restore=restore_visit,
    ),
)

"""`POST /v1/chat` and `POST /v1/sessions/{id}/messages`: one message, one turn."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from gateway.api.http.endpoints import Answer, Call, Endpoint
from gateway.api.native import ids
from gateway.api.native.answers import Wish, answer_turn
from gateway.api.native.wire.events import EVENTS
from gateway.api.native.wire.turns import ChatIn, MessageIn, ParticipantRef, TurnOut
from gateway.domain.conversation import ContentPart
from gateway.domain.ids import ParticipantId, SessionId
from gateway.domain.people import IdentityKey
from gateway.domain.turns import TurnOptions
from gateway.errors import FieldError, NotFound, Unprocessable
from gateway.service.chat import SendRequest

TURN_ERRORS = (404, 409, 502, 504)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who speaks: a known participant, or an identity that may be new."""

    participant_id: ParticipantId | None = None
    identity: IdentityKey | None = None


async def post_chat(call: Call) -> Answer | web.StreamResponse:
    """One turn in a session, which is made if none is named."""
    body = await call.body(ChatIn)
    visited = call.principal.session_id
    named = ids.session_id(body.session_id) if body.session_id is not None else visited
    if visited is not None and named != visited:
        raise NotFound("There is no such session.")
    speaker = Speaker()
    if visited is None and body.participant is not None:
        speaker = await find_speaker(call, body.participant)
    return await _send(call, body, session_id=named, speaker=speaker, bot=body.bot)


async def post_message(call: Call) -> Answer | web.StreamResponse:
    """One turn in a session."""
    body = await call.body(MessageIn)
    return await _send(call, body, session_id=ids.session_id(call.path("id")), speaker=Speaker())


async def find_speaker(call: Call, ref: ParticipantRef) -> Speaker:
    """Who is meant; what is said about a person by identity is kept.

    Raises NotFound for an unknown id, Unprocessable when neither id nor identity is given.
    """
    if ref.id is not None:
        return Speaker(participant_id=ids.participant_id(ref.id))
    if ref.external_id is None:
        fields = [FieldError("/participant", "required", "id or external_id is needed")]
        raise Unprocessable("The request is not valid.", fields=fields)
    identity = IdentityKey(platform=ref.channel, external_id=ref.external_id, name=ref.name)
    if ref.data is None:
        return Speaker(identity=identity)
    participant, _ = await call.services.people.put(call.principal, identity, data=ref.data)
    return Speaker(participant_id=participant.id)


async def _send(
    call: Call,
    body: MessageIn,
    *,
    session_id: SessionId | None,
    speaker: Speaker,
    bot: str | None = None,
) -> Answer | web.StreamResponse:
    wish = Wish(stream=body.stream, background=body.background)
    request = SendRequest(
        content=await _content(call, body),
        bot=bot,
        session_id=session_id,
        participant_id=speaker.participant_id,
        identity=speaker.identity,
        agent=body.agent,
        options=_options(body),
        idempotency=await call.repeat_key(),
        channel="web" if call.principal.session_id is not None else "api",
        wants_stream=wish.stream,
        metadata=body.metadata if session_id is None else {},
    )
    started = await call.services.chat.send(call.principal, request)
    return await answer_turn(call, started, wish)


async def _content(call: Call, body: MessageIn) -> tuple[ContentPart, ...]:
    """What is said; raises NotFound for a file that the caller does not reach."""
    for part in body.input:
        if part.type == "file":
            ids.file_id(part.file_id or "")
    content = tuple(part.part() for part in body.input)
    return await call.services.files.filled(call.principal, content)


def _options(body: MessageIn) -> TurnOptions:
    return TurnOptions(
        context=body.context,
        client_tools=body.client_tools,
        is_resumable=body.stream or body.background,
        timeout_s=body.timeout_s,
        locale=body.locale,
        metadata=body.metadata,
    )


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/chat",
        handler=post_chat,
        name="createTurn",
        summary="Send a message and get the bot's answer",
        tag="Chat",
        demands="chat",
        body=ChatIn,
        answers={200: TurnOut, 202: TurnOut},
        streams=EVENTS,
        errors=TURN_ERRORS,
        takes_repeat_key=True,
    ),
    Endpoint(
        method="POST",
        path="/v1/sessions/{id}/messages",
        handler=post_message,
        name="createTurnInSession",
        summary="Send a message in a session",
        tag="Chat",
        demands="chat",
        body=MessageIn,
        answers={200: TurnOut, 202: TurnOut},
        streams=EVENTS,
        errors=TURN_ERRORS,
        takes_repeat_key=True,
    ),
)

"""Files: bring one, look at it, read its bytes; and send words and files into a session."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from gateway.api.http.endpoints import Answer, Call, Endpoint
from gateway.api.http.uploads import read_upload
from gateway.api.native import ids
from gateway.api.native.answers import REPLAYED
from gateway.api.native.wire.files import (
    FileBytes,
    FileIn,
    SendIn,
    StoredFileOut,
    stored_file_out,
)
from gateway.api.native.wire.messages import MessageOut, message_out

BYTES = "application/octet-stream"


async def create_file(call: Call) -> Answer:
    """Store a file. One that no message uses is removed after a day."""
    settings = call.settings
    upload = read_upload(
        call.request,
        max_bytes=settings.limits.file_bytes,
        timeout_s=settings.body_timeout_s,
    )
    async with upload as file:
        stored = await call.services.files.keep(
            call.principal, file.pieces, name=file.name, mime=file.mime
        )
    headers = {"Location": f"/v1/files/{stored.id}"}
    return Answer(status=201, document=stored_file_out(stored), headers=headers)


async def read_file(call: Call) -> Answer:
    """What is known of a file."""
    file_id = ids.file_id(call.path("id"))
    return Answer(document=stored_file_out(await call.services.files.file(call.principal, file_id)))


async def read_content(call: Call) -> web.StreamResponse:
    """The bytes of a file, always as a download: nothing of it ever runs in a browser here."""
    files = call.services.files
    stored = await files.file(call.principal, ids.file_id(call.path("id")))
    name = quote(stored.name or stored.id, safe="")
    response = web.StreamResponse(
        headers={
            "Content-Type": BYTES,
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        }
    )
    response.content_length = stored.size_bytes
    await response.prepare(call.request)
    if call.request.method != "HEAD":
        async for piece in files.content(stored):
            await response.write(piece)
    return response


async def send_message(call: Call) -> Answer:
    """Send words and files through the session's channel as they are, in the team's name.

    No model is asked. What becomes of it stands in the message's `delivery`.
    """
    body = await call.body(SendIn)
    session_id = ids.session_id(call.path("id"))
    content = tuple(part.part() for part in body.content)
    for part in body.content:
        if part.file_id is not None:
            ids.file_id(part.file_id)
    sent = await call.services.sending.send(
        call.principal, session_id, content, idempotency=await call.repeat_key()
    )
    return Answer(
        status=202,
        document=message_out(sent.message, session_id=session_id),
        headers={"Location": f"/v1/sessions/{session_id}/messages"}
        | (REPLAYED if sent.is_replay else {}),
    )


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/files",
        handler=create_file,
        name="createFile",
        summary="Upload a file",
        tag="Files",
        demands="files:write",
        body=FileIn,
        body_media="multipart/form-data",
        answers={201: StoredFileOut},
    ),
    Endpoint(
        method="GET",
        path="/v1/files/{id}",
        handler=read_file,
        name="readFile",
        summary="Read about a file",
        tag="Files",
        demands="files:read",
        answers={200: StoredFileOut},
        errors=(404,),
    ),
    Endpoint(
        method="GET",
        path="/v1/files/{id}/content",
        handler=read_content,
        name="readFileContent",
        summary="Read the bytes of a file",
        tag="Files",
        demands="files:read",
        answers={200: FileBytes},
        media=BYTES,
        errors=(404,),
    ),
    Endpoint(
        method="POST",
        path="/v1/sessions/{id}/send",
        handler=send_message,
        name="sendMessage",
        summary="Send words and files into a session without a model",
        tag="Sessions",
        demands="channels:send",
        body=SendIn,
        answers={202: MessageOut},
        errors=(404, 409),
        takes_repeat_key=True,
    ),
)

"""Writes one answer to one caller, faults included.

Takes the request as aiohttp has it, what to answer and how the caller asked; gives the response
when the last byte is written or the connection is gone. It decides nothing: the script of
`endpoint.py` has chosen the answer already.
"""

import re
from typing import Final, NoReturn, assert_never

from aiohttp import web

from gateway.testing.loopback import hang_up, pause, stall
from gateway.testing.openai import encoding
from gateway.testing.openai.encoding import Stamp
from gateway.testing.openai.replies import (
    Answer,
    Drip,
    EmptyChoices,
    ErrorEvent,
    Garbage,
    HangUp,
    HttpError,
    Reply,
    Silence,
    Truncated,
)

JSON_TYPE: Final = "application/json"
EVENT_TYPE: Final = "text/event-stream"

_WANTS_STREAM = re.compile(rb'(?<!\\)"stream"\s*:\s*true')
_WANTS_USAGE = re.compile(rb'(?<!\\)"include_usage"\s*:\s*true')


class AnswerWriter:
    """Answers one call; made anew for each."""

    def __init__(
        self,
        request: web.BaseRequest,
        *,
        stamp: Stamp,
        streams: bool,
        with_usage: bool,
    ) -> None:
        self._request = request
        self._stamp = stamp
        self._streams = streams
        self._with_usage = with_usage

    async def write(self, answer: Answer) -> web.StreamResponse:
        """Carry the answer out; a fault that ends the connection ends it here."""
        response: web.StreamResponse
        match answer:
            case Reply():
                response = await self._reply(answer)
            case HttpError():
                await pause(answer.delay_s)
                response = error_response(answer)
            case Garbage():
                response = self._garbage(answer)
            case EmptyChoices():
                response = await self._without_choices()
            case Truncated():
                response = await self._truncated(answer)
            case ErrorEvent():
                response = await self._error_event(answer)
            case Silence():
                await self._silence(answer)
            case Drip():
                response = await self._drip(answer)
            case HangUp():
                response = hang_up(self._request)
            case _:
                assert_never(answer)
        return response

    async def _reply(self, reply: Reply) -> web.StreamResponse:
        await pause(reply.delay_s)
        if not self._streams:
            return _document(encoding.completion(reply, self._stamp))
        response = await self._open_stream()
        await self._send(response, self._events(reply), reply=reply)
        await response.write_eof()
        return response

    def _garbage(self, garbage: Garbage) -> web.Response:
        body = garbage.body.encode()
        if self._streams:
            return web.Response(body=encoding.event(body), content_type=EVENT_TYPE)
        return _document(body)

    async def _without_choices(self) -> web.StreamResponse:
        if not self._streams:
            return _document(encoding.completion_without_choices(self._stamp))
        response = await self._open_stream()
        await self._send(response, encoding.stream_without_choices(self._stamp))
        await response.write_eof()
        return response

    async def _truncated(self, fault: Truncated) -> web.StreamResponse:
        await pause(fault.reply.delay_s)
        if not self._streams:
            return await self._half_document(fault)
        response = await self._open_stream()
        await self._send(response, self._events(fault.reply)[: fault.after], reply=fault.reply)
        if fault.how == "cut":
            return hang_up(self._request)
        await response.write_eof()
        return response

    async def _half_document(self, fault: Truncated) -> web.StreamResponse:
        body = encoding.completion(fault.reply, self._stamp)
        half = body[: len(body) // 2]
        if fault.how == "end":
            return _document(half)
        response = web.StreamResponse(headers={"Content-Type": JSON_TYPE})
        response.content_length = len(body)
        await response.prepare(self._request)
        await response.write(half)
        return hang_up(self._request)

    async def _error_event(self, fault: ErrorEvent) -> web.StreamResponse:
        document = encoding.error_document(HttpError(500, fault.message, code=fault.code))
        if not self._streams:
            return _document(document)
        response = await self._open_stream()
        events = [*self._events(fault.reply)[: fault.after], encoding.event(document)]
        await self._send(response, events, reply=fault.reply)
        await response.write_eof()
        return response

    async def _silence(self, fault: Silence) -> NoReturn:
        if self._streams and fault.after is not None:
            response = await self._open_stream()
            await self._send(response, self._events(fault.reply)[: fault.after], reply=fault.reply)
        await stall()

    async def _drip(self, fault: Drip) -> web.StreamResponse:
        if self._streams:
            body = b"".join(self._events(fault.reply))
            response = await self._open_stream()
        else:
            body = encoding.completion(fault.reply, self._stamp)
            response = web.StreamResponse(headers={"Content-Type": JSON_TYPE})
            response.content_length = len(body)
            await response.prepare(self._request)
        for byte in body:
            await response.write(bytes([byte]))
            await pause(fault.interval_s)
        await response.write_eof()
        return response

    def _events(self, reply: Reply) -> list[bytes]:
        return encoding.stream(reply, self._stamp, with_usage=self._with_usage)

    async def _open_stream(self) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": EVENT_TYPE, "Cache-Control": "no-cache"}
        )
        await response.prepare(self._request)
        return response

    async def _send(
        self, response: web.StreamResponse, events: list[bytes], *, reply: Reply | None = None
    ) -> None:
        first_s, between_s = (reply.first_chunk_delay_s, reply.between_s) if reply else (0.0, 0.0)
        for number, event in enumerate(events):
            await pause(between_s if number else first_s)
            await response.write(event)


class ConstantAnswer:
    """The same reply to every call, its bytes made once: the stub of a benchmark.

    It reads from the raw body only whether a stream is wanted, so its cost does not depend on the
    history it is sent.
    """

    def __init__(self, reply: Reply, *, stamp: Stamp) -> None:
        self._reply = reply
        self._document = encoding.completion(reply, stamp)
        self._events = {
            with_usage: encoding.stream(reply, stamp, with_usage=with_usage)
            for with_usage in (False, True)
        }

    async def write(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one call."""
        body = await request.read()
        await pause(self._reply.delay_s)
        if not _WANTS_STREAM.search(body):
            return _document(self._document)
        events = self._events[_WANTS_USAGE.search(body) is not None]
        if not self._reply.first_chunk_delay_s and not self._reply.between_s:
            return web.Response(body=b"".join(events), content_type=EVENT_TYPE)
        return await self._paced(request, events)

    async def _paced(self, request: web.BaseRequest, events: list[bytes]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": EVENT_TYPE})
        await response.prepare(request)
        for number, event in enumerate(events):
            reply = self._reply
            await pause(reply.between_s if number else reply.first_chunk_delay_s)
            await response.write(event)
        await response.write_eof()
        return response


def error_response(error: HttpError) -> web.Response:
    """An error with its headers."""
    headers = {} if error.retry_after is None else {"Retry-After": error.retry_after}
    if error.body is not None:
        return web.Response(
            status=error.status, headers=headers, text=error.body, content_type="text/html"
        )
    body = encoding.error_document(error)
    return web.Response(status=error.status, headers=headers, body=body, content_type=JSON_TYPE)


def _document(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=JSON_TYPE)

"""The HTTP side of the fake Bot API: from a request to its answer.

Reads the call, logs it, judges it (specification, limits, pace), lets a planned fault happen or the
method run, and answers in the Bot API's envelope. What methods do is in `methods.py`.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from gateway.testing.loopback import hang_up
from gateway.testing.misbehaviour import misbehave
from gateway.testing.telegram.faults import (
    ApiError,
    BotCall,
    Refused,
    TelegramFault,
    flood,
)
from gateway.testing.telegram.methods import BotMethods, StoredFile
from gateway.testing.telegram.pace import Pace
from gateway.testing.telegram.requests import read_parameters, read_path
from gateway.testing.telegram.rules import broken_limit
from gateway.testing.telegram.spec import Spec
from gateway.testing.watched import CallLog
from gateway.testing.wire import JsonValue

DOWNLOAD: Final = "file"
"""What a download is called in the log and the plan of faults, where methods have names."""

WEBHOOK_NOTES: Final = {
    "setWebhook": "Webhook was set",
    "deleteWebhook": "Webhook was deleted",
}


class BotApi:
    """Answers the calls of one bot."""

    def __init__(
        self,
        token: str,
        methods: BotMethods,
        *,
        spec: Spec | None,
        pace: Pace,
        strict: bool,
        on_change: Callable[[], None],
    ) -> None:
        self.log: CallLog[BotCall, TelegramFault] = CallLog()
        self.pace = pace
        self.spec = spec
        self._token = token
        self._methods = methods
        self._strict = strict
        self._on_change = on_change
        names = [*methods.names, *(spec.methods if spec else ()), *(spec.newer if spec else ())]
        self._names = {name.lower(): name for name in names}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; faults may end the connection instead."""
        try:
            kind, rest = read_path(request.path, self._token)
            if kind == "file":
                return await self._download(request, rest)
            call = await self._read(request, rest)
        except Refused as refused:
            return _error(refused.error)
        try:
            return await self._answer_call(request, call)
        finally:
            self._on_change()

    async def _read(self, request: web.BaseRequest, name: str) -> BotCall:
        """Log the call; the name of a method is read in any case, as by the real server."""
        method = self._names.get(name.lower(), name)
        given = await read_parameters(request, method, spec=self.spec)
        call = BotCall(
            number=self.log.next_number,
            method=method,
            params=given.values,
            at=time.monotonic(),
            headers={header.lower(): value for header, value in request.headers.items()},
            uploads=given.uploads,
        )
        call.problems = tuple(self._problems(call))
        self.pace.note_early(call)
        self._log(call)
        return call

    def _log(self, call: BotCall) -> None:
        self.log.add(call.method, call)
        self._on_change()

    def _problems(self, call: BotCall) -> list[str]:
        if call.method.lower() not in self._names:
            return [f"there is no method {call.method}"]
        problems = self.spec.call_problems(call.method, call.params) if self.spec else []
        limit = None if problems else broken_limit(call.method, call.params)
        return problems or ([limit] if limit else [])

    async def _answer_call(self, request: web.BaseRequest, call: BotCall) -> web.StreamResponse:
        if call.method.lower() not in self._names:
            return self._refuse(call, ApiError(404, "Not Found: method not found"))
        if call.problems and self._strict:
            return self._refuse(call, ApiError(400, f"Bad Request: {call.problems[0]}"))
        fault = self.log.faults.take(call.method, call)
        if fault is not None:
            return await self._fail(request, call, fault, carry_out=lambda: self._run(call))
        retry_after_s = self.pace.retry_after(call)
        if retry_after_s is not None:
            return self._refuse(call, flood(retry_after_s))
        return await self._run(call)

    async def _run(self, call: BotCall) -> web.Response:
        try:
            result = await self._methods.run(call)
        except Refused as refused:
            return self._refuse(call, refused.error)
        call.status = 200
        return _result(result, WEBHOOK_NOTES.get(call.method))

    async def _fail(
        self,
        request: web.BaseRequest,
        call: BotCall,
        fault: TelegramFault,
        *,
        carry_out: Callable[[], Awaitable[web.Response]],
    ) -> web.StreamResponse:
        if isinstance(fault, ApiError):
            return self._refuse(call, fault)
        return await misbehave(
            fault, call, request=request, carry_out=carry_out, on_change=self._on_change
        )

    def _refuse(self, call: BotCall, error: ApiError) -> web.Response:
        call.status = error.code
        if error.retry_after_s is not None:
            self.pace.block(call, error.retry_after_s)
        return _error(error)

    async def _download(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """A file by the path that getFile gave."""
        number, now = self.log.next_number, time.monotonic()
        call = BotCall(number=number, method=DOWNLOAD, params={"file_path": path}, at=now)
        self._log(call)
        fault = self.log.faults.take(DOWNLOAD, call)
        files = self._methods.files.values()
        stored = next((file for file in files if file.path == path), None)
        if stored is None:
            return self._refuse(call, ApiError(404, "Not Found"))
        if stored.breaks_after is not None:
            return await _broken_off(request, stored)
        if fault is not None:
            return await self._fail(request, call, fault, carry_out=lambda: _whole(call, stored))
        return await _whole(call, stored)


async def _whole(call: BotCall, stored: StoredFile) -> web.Response:
    call.status = 200
    return web.Response(body=stored.content, content_type="application/octet-stream")


async def _broken_off(request: web.BaseRequest, stored: StoredFile) -> web.StreamResponse:
    """The beginning of the file, and then the end of the connection."""
    response = web.StreamResponse(headers={"Content-Length": str(len(stored.content))})
    await response.prepare(request)
    await response.write(stored.content[: stored.breaks_after])
    return hang_up(request)


def _result(result: JsonValue, note: str | None) -> web.Response:
    document = {"ok": True, "result": result}
    return web.json_response(document | ({"description": note} if note else {}))


def _error(error: ApiError) -> web.Response:
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    return web.json_response(error.document, status=error.code, headers=headers)

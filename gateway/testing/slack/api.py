"""The HTTP side of the fake Slack: from a request to its answer.

Reads and logs the call, lets a planned fault happen, or judges it (token, scope, arguments, pace)
and lets the method run; answers as Slack does, with HTTP 200 and `ok`. Besides the Web API it
serves the addresses Slack hands out: uploads, downloads, response URLs and WebSockets.
"""

import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from gateway.testing.misbehaviour import Slow, misbehave
from gateway.testing.slack.faults import (
    Refused,
    SlackCall,
    SlackError,
    SlackFault,
    rate_limited,
    refused,
)
from gateway.testing.slack.methods import WebMethods
from gateway.testing.slack.pace import Pace
from gateway.testing.slack.requests import Arguments, read_arguments
from gateway.testing.slack.responses import read_response
from gateway.testing.slack.rules import ARGUMENTS, check, remarks
from gateway.testing.slack.sockets import SocketMode
from gateway.testing.slack.workspaces import Workspace
from gateway.testing.slack.world import World
from gateway.testing.watched import CallLog
from gateway.testing.wire import JsonObject

STATE_ERRORS: Final = frozenset(
    {
        *("channel_not_found", "thread_not_found", "message_not_found", "not_in_channel"),
        *("is_archived", "user_not_found", "message_not_in_streaming_state", "already_reacted"),
        *("ratelimited", "account_inactive", "token_revoked", "token_expired", "missing_scope"),
        *("file_not_found", "expired_url", "used_url", "socket_mode_disabled", "invalid_code"),
        *("code_already_used", "invalid_refresh_token", "cannot_dm_bot", "user_not_in_channel"),
    }
)
"""Refusals that a faultless app meets too, because of what others did; the rest are its faults."""

PLACES: Final = {"/upload/v1/": "upload", "/files-pri/": "download", "/actions/": "response_url"}


class SlackApi:
    """Answers the calls of one app."""

    def __init__(
        self,
        world: World,
        sockets: SocketMode,
        *,
        pace: Pace,
        app_token: str,
        on_change: Callable[[], None],
    ) -> None:
        self.log: CallLog[SlackCall, SlackFault] = CallLog()
        self.pace = pace
        self._directory = world.directory
        self._methods = WebMethods(world)
        self._files = world.files
        self._installs = world.installs
        self._responses = world.responses
        self._sockets = sockets
        self._app_token = app_token
        self._on_change = on_change

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; faults may end the connection instead."""
        path = request.path
        if path.startswith("/link"):
            return await self._sockets.connect(request)
        for prefix, name in PLACES.items():
            if path.startswith(prefix):
                return await self._answer(request, name)
        if path.startswith("/api/"):
            return await self._answer(request, path.removeprefix("/api/"))
        return web.Response(status=404, text="not found")

    async def _answer(self, request: web.BaseRequest, method: str) -> web.StreamResponse:
        call = await self._read(request, method)
        try:
            fault = self.log.faults.take(method, call)
            if fault is not None:
                return await self._fail(request, call, fault)
            return self._run(request, call)
        finally:
            self._on_change()

    async def _read(self, request: web.BaseRequest, method: str) -> SlackCall:
        """Log the call, also one that cannot be read."""
        call = SlackCall(
            number=self.log.next_number,
            method=method,
            params={},
            at=time.monotonic(),
            headers={header.lower(): value for header, value in request.headers.items()},
        )
        self.log.add(method, call)
        try:
            given = await _arguments(request, method)
        except Refused as unreadable:
            call.error = unreadable.error.error
        else:
            call.params, call.token, call.body = given.params, given.token, given.body
            call.problems += given.problems
        workspace = self._directory.workspace_of_token(call.token)
        call.team = workspace.id if workspace is not None else ""
        self.pace.note_early(call)
        self._on_change()
        return call

    def _run(self, request: web.BaseRequest, call: SlackCall) -> web.Response:
        try:
            if call.error:
                raise refused(call.error)
            response = self._carry_out(request, call)
        except Refused as refusal:
            return self._refuse(call, refusal.error)
        call.status = response.status
        return response

    def _carry_out(self, request: web.BaseRequest, call: SlackCall) -> web.Response:
        match call.method:
            case "upload":
                file_id = request.path.rpartition("/")[2]
                return web.Response(text=self._files.receive(file_id, call.body))
            case "download":
                return self._download(request.path, call)
            case "response_url":
                self._responses.answer(request.path, call)
                return web.Response(text="ok")
            case "apps.connections.open":
                return _ok({"url": self._socket_url(request, call)})
            case "oauth.v2.access":
                return _ok(self._installs.access(call))
        return _ok(self._web_api(call))

    def _web_api(self, call: SlackCall) -> JsonObject:
        if call.method not in ARGUMENTS:
            raise refused("unknown_method")
        workspace = self._authenticate(call)
        call.problems += remarks(call.method, call.params)
        check(call.method, call.params)
        retry_after_s = self.pace.retry_after(call)
        if retry_after_s is not None:
            raise Refused(rate_limited(retry_after_s))
        return self._methods.run(call, workspace)

    def _authenticate(self, call: SlackCall) -> Workspace:
        if not call.token:
            raise refused("not_authed")
        if call.token == self._app_token:
            raise refused("not_allowed_token_type")
        workspace = self._directory.workspace_of_token(call.token)
        if workspace is None:
            raise refused("invalid_auth")
        ended = workspace.tokens[call.token]
        if ended:
            raise refused(ended)
        return workspace

    def _socket_url(self, request: web.BaseRequest, call: SlackCall) -> str:
        if not call.token:
            raise refused("not_authed")
        if call.token != self._app_token:
            known = self._directory.workspace_of_token(call.token) is not None
            raise refused("not_allowed_token_type" if known else "invalid_auth")
        return f"ws://{request.host}/link/?ticket={self._sockets.new_ticket()}"

    def _download(self, path: str, call: SlackCall) -> web.Response:
        file = self._files.find(path)
        if file is None:
            return web.Response(status=404, text="not found")
        workspace = self._directory.workspaces[file.team]
        if workspace.tokens.get(call.token, "unknown"):
            call.problems.append("a download without the bot token of its workspace")
            return web.Response(text="<html>Sign in to Slack</html>", content_type="text/html")
        if file.redirect_to:
            return web.Response(status=302, headers={"Location": file.redirect_to})
        return web.Response(body=file.content, content_type=file.mimetype)

    async def _fail(
        self, request: web.BaseRequest, call: SlackCall, fault: SlackFault
    ) -> web.StreamResponse:
        if isinstance(fault, SlackError):
            return self._refuse(call, fault, planned=True)

        async def carry_out() -> web.Response:
            response = self._run(request, call)
            if not isinstance(fault, Slow):
                call.error = ""  # nobody is told of it
            return response

        return await misbehave(
            fault, call, request=request, carry_out=carry_out, on_change=self._on_change
        )

    def _refuse(self, call: SlackCall, error: SlackError, *, planned: bool = False) -> web.Response:
        call.status, call.error = error.status, error.error
        if not planned and error.error not in STATE_ERRORS:
            call.problems.append(" ".join((error.error, *error.messages)))
        headers = {}
        if error.retry_after_s is not None:
            self.pace.block(call, error.retry_after_s)
            headers["Retry-After"] = str(error.retry_after_s)
        if call.method in PLACES.values():
            return web.Response(status=404, text=error.error, headers=headers)
        return web.json_response(error.document, status=error.status, headers=headers)


async def _arguments(request: web.BaseRequest, method: str) -> Arguments:
    if method in {"upload", "response_url"}:
        body = await _content(request)
        params = read_response(body) if method == "response_url" else {}
        return Arguments(params, "", body)
    return await read_arguments(request, method)


async def _content(request: web.BaseRequest) -> bytes:
    """The bytes of a body, or those of the one file of a multipart body."""
    if request.content_type == "multipart/form-data":
        for value in (await request.post()).values():
            if isinstance(value, web.FileField):
                return value.file.read()
    return await request.read()


def _ok(content: JsonObject) -> web.Response:
    return web.json_response({"ok": True, **content})

"""The HTTP side of the fake Twilio: from a request to its answer.

Reads the call, checks who calls, logs and judges it (description, rules), lets a planned fault
happen or the operation run, and answers as Twilio writes it. What operations do is in
`resources.py`. A second door serves the files of messages, as Twilio's storage does on its own
host, where the account's credentials must not arrive.
"""

import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from aiohttp import web

from gateway.testing.misbehaviour import misbehave
from gateway.testing.twilio.account import Account
from gateway.testing.twilio.faults import (
    TwilioCall,
    TwilioError,
    TwilioFault,
    TwilioRefused,
    refused,
)
from gateway.testing.twilio.resources import Place, Resources, find_place
from gateway.testing.twilio.rules import broken_rule, unknown_fields
from gateway.testing.twilio.spec import TwilioSpec
from gateway.testing.watched import CallLog
from gateway.testing.wire import JsonObject

DOWNLOAD: Final = "DownloadMedia"


class TwilioApi:
    """Answers the calls of one account; `credentials` are passwords by user name."""

    def __init__(
        self,
        account: Account,
        resources: Resources,
        *,
        credentials: Mapping[str, str],
        spec: TwilioSpec | None,
        strict: bool,
        media_url: Callable[[], str],
        on_change: Callable[[], None],
        on_problem: Callable[[str], None],
    ) -> None:
        self.log: CallLog[TwilioCall, TwilioFault] = CallLog()
        self.spec = spec
        self._account = account
        self._resources = resources
        self._credentials = credentials
        self._strict = strict
        self._media_url = media_url
        self._on_change = on_change
        self._on_problem = on_problem

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; faults may end the connection instead."""
        try:
            place = find_place(request.method, request.path)
        except TwilioRefused as unknown:
            self._on_problem(f"there is no {request.method} {request.path}")
            return _error(unknown.error)
        call = await self._read(request, place)
        try:
            return await self._answer_call(request, call, place)
        finally:
            self._on_change()

    async def answer_media(self, request: web.BaseRequest) -> web.StreamResponse:
        """Give a file from the storage host."""
        if "Authorization" in request.headers:
            self._on_problem(f"the credentials were sent on to the storage host: {request.path}")
        message_sid, _, sid = request.path.removeprefix("/media/").partition("/")
        try:
            media = self._account.find_media(message_sid, sid)
        except TwilioRefused:
            return web.Response(status=404, text="Not Found")
        return web.Response(body=media.file.content, content_type=media.file.content_type)

    async def _read(self, request: web.BaseRequest, place: Place) -> TwilioCall:
        given = await request.post() if request.method == "POST" else request.query
        fields = {name: tuple(str(value) for value in given.getall(name)) for name in given}
        call = TwilioCall(
            number=self.log.next_number,
            operation=place.operation,
            method=request.method,
            path=request.path,
            at=time.monotonic(),
            fields=fields,
            headers={header.lower(): value for header, value in request.headers.items()},
        )
        self.log.add(call.operation, call)
        self._account.pace.note_call(call.operation, call.at)
        self._on_change()
        return call

    def _check(self, call: TwilioCall, place: Place) -> None:
        """Refuse strangers, other accounts, and calls that break a rule."""
        user, password = _credentials(call.headers.get("authorization", ""))
        if not user or self._credentials.get(user) != password:
            raise refused(20003)
        if place.account_sid != self._account.sid:
            raise refused(20404, f"The requested resource {call.path} was not found")
        rule = broken_rule(call) if call.operation == "CreateMessage" else None
        unfit = self._unfit(call, place)
        text = [f"{rule.code} {rule.document['message']}"] if rule else []
        call.problems = (*text, *unfit)
        if rule is not None:
            raise TwilioRefused(rule)
        if unfit and self._strict:
            raise refused(20001, unfit[0])

    def _unfit(self, call: TwilioCall, place: Place) -> list[str]:
        if self.spec is None or call.operation == DOWNLOAD:
            return unknown_fields(call)
        return self.spec.call_problems(call.operation, call.fields, path_fields=place.path_fields)

    async def _answer_call(
        self, request: web.BaseRequest, call: TwilioCall, place: Place
    ) -> web.StreamResponse:
        try:
            self._check(call, place)
        except TwilioRefused as refusal:
            return self._refuse(call, refusal.error)
        fault = self.log.faults.take(call.operation, call)
        if fault is not None:
            return await self._fail(request, call, place, fault)
        return self._run(call, place)

    def _run(self, call: TwilioCall, place: Place) -> web.Response:
        try:
            status, document = self._resources.run(call, place)
        except TwilioRefused as refusal:
            return self._refuse(call, refusal.error)
        if call.operation == DOWNLOAD:
            call.status = 307
            path = f"/media/{place.path_fields['MessageSid']}/{place.path_fields['Sid']}"
            return web.Response(status=307, headers={"Location": self._media_url() + quote(path)})
        if self.spec is not None and document is not None:
            for problem in self.spec.answer_problems(call.operation, status, document):
                self._on_problem(f"the fake's own answer: {problem}")
        call.status = status
        return _answer(document, status)

    async def _fail(
        self, request: web.BaseRequest, call: TwilioCall, place: Place, fault: TwilioFault
    ) -> web.StreamResponse:
        if isinstance(fault, TwilioError):
            return self._refuse(call, fault)

        async def carry_out() -> web.Response:
            return self._run(call, place)

        return await misbehave(
            fault, call, request=request, carry_out=carry_out, on_change=self._on_change
        )

    def _refuse(self, call: TwilioCall, error: TwilioError) -> web.Response:
        call.status, call.error_code = error.http_status, error.code
        if error.retry_after_s is not None:
            self._account.pace.tell_to_wait(call.at, error.retry_after_s)
        return _error(error)


def _credentials(header: str) -> tuple[str, str]:
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        user, _, password = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password


def _answer(document: JsonObject | None, status: int) -> web.Response:
    if document is None:
        return web.Response(status=status)
    return web.json_response(document, status=status)


def _error(error: TwilioError) -> web.Response:
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    if error.http_status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
    return web.json_response(error.document, status=error.http_status, headers=headers)

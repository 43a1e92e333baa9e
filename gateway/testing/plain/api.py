"""The HTTP side of the plain platform: from a request to its answer.

    GET    /account                           {"account": ...}
    PUT    /webhook     {url}                 events go there from now on
    POST   /messages    {chat, text, ...}     {"id": ...}; `thread`, `delivery_id`, `is_final`
    PUT    /messages/ID {text, is_final}      another text
    DELETE /messages/ID
    GET    /messages?delivery_id=ID           {"messages": [{id, chat, text, is_final}]}
    GET    /files/ID                          the bytes
    POST   /files?chat=C&delivery_id=ID       a message that is this file; `thread`, `name`, `mime`,
                                              `kind`

Every call carries `Authorization: Bearer <token>`. Each is logged, a planned fault may happen, and
what breaks the rules is refused with 400 and noted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from gateway.testing.misbehaviour import misbehave
from gateway.testing.plain.faults import Action, PlainCall, PlainFault, Refusal
from gateway.testing.plain.files import CutOff, PlainFile, Trickle, give
from gateway.testing.plain.messages import Messages, PlainMessage
from gateway.testing.watched import CallLog
from gateway.testing.wire import JsonObject

MAX_CHARS: Final = 4000
"""Of a message; the platform's own rule."""

ACTIONS: Final[dict[tuple[str, str], Action]] = {
    ("GET", "account"): "connect",
    ("PUT", "webhook"): "connect",
    ("POST", "messages"): "send",
    ("PUT", "messages"): "change",
    ("DELETE", "messages"): "remove",
    ("GET", "messages"): "find",
    ("GET", "files"): "fetch",
    ("POST", "files"): "upload",
}


class PlainApi:
    """Answers the calls of one account."""

    def __init__(
        self,
        token: str,
        messages: Messages,
        files: Mapping[str, PlainFile],
        *,
        account: str,
        on_webhook: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> None:
        self.log: CallLog[PlainCall, PlainFault] = CallLog()
        self._token = token
        self._messages = messages
        self._files = files
        self._account = account
        self._on_webhook = on_webhook
        self._on_change = on_change

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; faults may end the connection instead."""
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            return web.json_response({"error": "wrong token"}, status=401)
        _, kind, *rest = request.path.split("/")
        action = ACTIONS.get((request.method, kind))
        if action is None:
            return web.json_response({"error": "no such call"}, status=404)
        call = await self._read(request, action, message_id=rest[0] if rest else "")
        try:
            return await self._answer_call(request, call)
        finally:
            self._on_change()

    async def _read(
        self, request: web.BaseRequest, action: Action, *, message_id: str
    ) -> PlainCall:
        raw = await request.read()
        problems = []
        body: JsonObject = dict(request.query)
        try:
            body |= json.loads(raw) if raw and action != "upload" else {}
        except (ValueError, TypeError):
            problems.append("the body is no JSON object")
        call = PlainCall(
            number=self.log.next_number,
            action=action,
            body=body,
            at=time.monotonic(),
            message_id=message_id,
            data=raw if action == "upload" else b"",
            problems=problems or broken_rules(action, body),
        )
        self.log.add(action, call)
        self._on_change()
        return call

    async def _answer_call(self, request: web.BaseRequest, call: PlainCall) -> web.StreamResponse:
        if call.problems:
            return _answer(call, 400, {"error": call.problems[0]})
        fault = self.log.faults.take(call.action, call)
        if isinstance(fault, Refusal):
            return _refuse(call, fault)
        if call.action == "fetch" and (fault is None or isinstance(fault, CutOff | Trickle)):
            return await self._give(request, call, fault)
        if fault is None or isinstance(fault, CutOff | Trickle):
            return self._take(call)

        async def carry_out() -> web.Response:
            return self._take(call)

        return await misbehave(
            fault, call, request=request, carry_out=carry_out, on_change=self._on_change
        )

    async def _give(
        self, request: web.BaseRequest, call: PlainCall, fault: CutOff | Trickle | None
    ) -> web.StreamResponse:
        file = self._files.get(call.message_id)
        if file is None:
            return _answer(call, 404, {"error": "no such file"})
        call.status = 200
        return await give(request, file, fault)

    def _take(self, call: PlainCall) -> web.Response:
        """Let it take effect."""
        match call.action:
            case "connect":
                if "url" in call.body:
                    self._on_webhook(str(call.body["url"]))
                return _answer(call, 200, {"account": self._account})
            case "send":
                return _answer(call, 200, {"id": self._send(call.body).id})
            case "find":
                return _answer(call, 200, {"messages": self._found(call.body)})
            case "upload":
                return _answer(call, 200, {"id": self._send_file(call).id})
            case "change" | "remove" | "fetch":
                return self._change(call)

    def _send(self, body: JsonObject) -> PlainMessage:
        return self._messages.add(
            str(body["chat"]),
            body["text"],
            thread=body.get("thread"),
            delivery_id=body["delivery_id"],
            is_final=body.get("is_final", True),
        )

    def _send_file(self, call: PlainCall) -> PlainMessage:
        body = call.body
        file = PlainFile(
            f"sent-{call.number}",
            body.get("kind", "document"),
            call.data,
            body.get("name"),
            body.get("mime"),
        )
        return self._messages.add(
            str(body["chat"]),
            "",
            thread=body.get("thread"),
            delivery_id=body["delivery_id"],
            is_final=True,
            file=file,
        )

    def _found(self, body: JsonObject) -> list[JsonObject]:
        return [
            {"id": each.id, "chat": each.chat, "text": each.text, "is_final": each.is_final}
            for each in self._messages.standing()
            if each.delivery_id == body["delivery_id"]
        ]

    def _change(self, call: PlainCall) -> web.Response:
        message = self._messages.find(call.message_id)
        if message is None:
            return _answer(call, 404, {"error": "no such message"})
        if call.action == "remove":
            self._messages.remove(message)
        else:
            is_final = bool(call.body.get("is_final", True))
            self._messages.change(message, call.body["text"], is_final=is_final)
        return _answer(call, 200, {"id": message.id})


def broken_rules(action: Action, body: JsonObject) -> list[str]:
    """What is wrong with a call.

    >>> broken_rules("send", {"chat": "7", "text": "Hi"})
    ['delivery_id is missing']
    """
    needed = {
        "send": ("chat", "text", "delivery_id"),
        "change": ("text",),
        "find": ("delivery_id",),
        "upload": ("chat", "delivery_id"),
    }
    missing = [f"{name} is missing" for name in needed.get(action, ()) if name not in body]
    if missing or "text" not in body:
        return missing
    text = body["text"]
    if not isinstance(text, str) or len(text) > MAX_CHARS:
        return [f"text is no text of at most {MAX_CHARS} characters"]
    if not text.strip() and body.get("is_final", True):
        return ["a final text is empty"]
    return []


def _answer(call: PlainCall, status: int, document: JsonObject) -> web.Response:
    call.status = status
    return web.json_response(document, status=status)


def _refuse(call: PlainCall, fault: Refusal) -> web.Response:
    answer = _answer(call, fault.status, {"error": "as planned"})
    if fault.retry_after_s is not None:
        answer.headers["Retry-After"] = str(fault.retry_after_s)
    return answer

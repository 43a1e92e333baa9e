"""What each Bot API method does in the fake.

Takes a call that passed the checks and gives the `result` of its answer; refusals are raised. Only
what a chat bot needs is built: other `send...` methods record a message, other methods answer True,
and a `get...` that is not here is refused, so that nobody relies on an invented answer.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.testing.telegram.chats import Chats
from gateway.testing.telegram.faults import (
    ApiError,
    BotCall,
    Refused,
    bad_request,
    webhook_active,
    webhook_was_set,
)
from gateway.testing.telegram.queue import UpdateQueue
from gateway.testing.telegram.updates import DEFAULT_KINDS, Person
from gateway.testing.telegram.webhook import Webhook, WebhookAttempt, WebhookCourier, WebhookRetry
from gateway.testing.wire import JsonObject, JsonValue

MAX_DOWNLOAD_BYTES = 20 * 1024 * 1024
"""getFile refuses larger files (Bot API, getFile)."""

MESSAGE_METHODS = (
    *("sendMessage", "sendPhoto", "sendDocument", "sendVoice", "sendAudio", "sendVideo"),
    *("sendRichMessage",),
)
"""Methods that make a message, known also without a specification."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that can be downloaded.

    `size_bytes` is what getFile says of it, true or not; None = nothing. With `breaks_after` the
    connection is lost after that many bytes of each download.
    """

    path: str
    content: bytes
    size_bytes: int | None
    breaks_after: int | None = None


class BotMethods:
    """The methods of one bot, over its chats, its queue and its webhook."""

    def __init__(
        self,
        bot: Person,
        chats: Chats,
        queue: UpdateQueue,
        *,
        retry: WebhookRetry,
        on_attempt: Callable[[WebhookAttempt], None],
    ) -> None:
        self.courier: WebhookCourier | None = None
        self.commands: list[JsonObject] = []
        self.files: dict[str, StoredFile] = {}
        self.last_error: WebhookAttempt | None = None
        self._bot = bot
        self._chats = chats
        self._queue = queue
        self._retry = retry
        self._on_attempt = on_attempt
        self._table: dict[str, Callable[[BotCall], Awaitable[JsonValue] | JsonValue]] = {
            "getMe": self._get_me,
            "getUpdates": self._get_updates,
            "setWebhook": self._set_webhook,
            "deleteWebhook": self._delete_webhook,
            "getWebhookInfo": self._get_webhook_info,
            "sendMessageDraft": chats.draft,
            "sendChatAction": chats.act,
            "editMessageText": chats.edit,
            "editMessageCaption": chats.edit,
            "deleteMessage": chats.delete,
            "answerCallbackQuery": chats.answer_query,
            "setMyCommands": self._set_commands,
            "getMyCommands": self._get_commands,
            "getFile": self._get_file,
        }

    @property
    def names(self) -> list[str]:
        """The methods that are known without a specification."""
        return [*self._table, *MESSAGE_METHODS]

    async def run(self, call: BotCall) -> JsonValue:
        """Carry the call out; Refused when it cannot be."""
        method = self._table.get(call.method)
        if method is not None:
            found = method(call)
            return await found if isinstance(found, Awaitable) else found
        if call.method.startswith("send"):
            return self._chats.send(call)
        if call.method.startswith("get"):
            raise bad_request(f"the fake has no {call.method}")
        return True

    async def close(self) -> None:
        """Stop delivering to the webhook."""
        if self.courier is not None:
            await self.courier.stop()
            self.courier = None

    def _get_me(self, _: BotCall) -> JsonObject:
        return {
            **self._bot.document,
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }

    async def _get_updates(self, call: BotCall) -> list[JsonObject]:
        if self.courier is not None:
            raise Refused(webhook_active())
        params = call.params
        self._queue.allow(params.get("allowed_updates"))
        return await self._queue.poll(
            offset=int(params.get("offset") or 0),
            limit=int(params.get("limit") or 100),
            timeout_s=int(params.get("timeout") or 0),
        )

    async def _set_webhook(self, call: BotCall) -> bool:
        params = call.params
        if not params.get("url"):
            return await self._delete_webhook(call)
        webhook = Webhook(
            url=str(params["url"]),
            secret_token=str(params.get("secret_token") or ""),
            max_connections=min(max(int(params.get("max_connections") or 40), 1), 100),
            ip_address=str(params.get("ip_address") or ""),
        )
        self._queue.end_poll(webhook_was_set())
        self._queue.allow(params.get("allowed_updates"))
        await self.close()
        if params.get("drop_pending_updates"):
            self._queue.clear()
        self.courier = WebhookCourier(
            webhook, self._queue, retry=self._retry, on_attempt=self._note_attempt
        )
        return True

    async def _delete_webhook(self, call: BotCall) -> bool:
        await self.close()
        if call.params.get("drop_pending_updates"):
            self._queue.clear()
        return True

    def _get_webhook_info(self, _: BotCall) -> JsonObject:
        info: JsonObject = {
            "url": "",
            "has_custom_certificate": False,
            "pending_update_count": len(self._queue.pending),
        }
        if self.courier is not None:
            webhook = self.courier.webhook
            info |= {"url": webhook.url, "max_connections": webhook.max_connections}
            info |= {"ip_address": webhook.ip_address} if webhook.ip_address else {}
        if self.last_error is not None:
            age_s = time.monotonic() - self.last_error.at
            info["last_error_date"] = int(time.time() - age_s)
            info["last_error_message"] = self.last_error.error
        if self._queue.allowed != DEFAULT_KINDS:
            info["allowed_updates"] = sorted(self._queue.allowed)
        return info

    def _set_commands(self, call: BotCall) -> bool:
        self.commands = list(call.params["commands"])
        return True

    def _get_commands(self, _: BotCall) -> list[JsonObject]:
        return self.commands

    def _get_file(self, call: BotCall) -> JsonObject:
        file_id = str(call.params.get("file_id") or "")
        stored = self.files.get(file_id)
        if not file_id or stored is None:
            raise bad_request("invalid file_id")
        if stored.size_bytes is not None and stored.size_bytes > MAX_DOWNLOAD_BYTES:
            raise Refused(ApiError(400, "Bad Request: file is too big"))
        file: JsonObject = {"file_id": file_id, "file_unique_id": f"{file_id}-u"}
        size = {} if stored.size_bytes is None else {"file_size": stored.size_bytes}
        return {**file, **size, "file_path": stored.path}

    def _note_attempt(self, attempt: WebhookAttempt) -> None:
        if not attempt.is_success:
            self.last_error = attempt
        self._on_attempt(attempt)

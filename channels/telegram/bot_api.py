"""The Bot API as the channel needs it: nine calls, and two ways in which each may fail.

Takes settings, gives plain values. The only file that imports the Telegram library, which is used
for its methods and its HTTP client alone: no Updater, no Application, no queue in memory. Every
call raises `Refused` when Telegram answered no, or `NoAnswer` when nobody knows; nothing else.
Neither ever contains the token, which is part of every address. No retries, no decisions.
"""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

import httpx
from telegram import LinkPreviewOptions, MessageEntity, ReplyParameters
from telegram.constants import ChatAction
from telegram.error import TelegramError
from telegram.ext import ExtBot
from telegram.request import HTTPXRequest

from channels.telegram.parse import ALLOWED_UPDATES, Me
from channels.telegram.settings import TelegramSettings
from gateway.contract import Json

CONNECT_S: Final = 5.0
SEND_READ_S: Final = 20.0
"""A slow sendMessage may still have been taken: giving up early only makes doubtful deliveries."""

POLL_MARGIN_S: Final = 10.0
"""How much longer than its own time limit a long poll may take."""

SENDS_AT_ONCE: Final = 20
"""The library's HTTP pool loses three quarters of its throughput when it is flooded."""

SIGNALS_AT_ONCE: Final = 4

SLOT_WITHIN_S: Final = 15.0
"""How long a message may wait for its turn; then it was certainly not sent."""

_NEVER_WRITTEN: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
_UNEXPECTED_ANSWER: Final = (KeyError, TypeError, ValueError, AttributeError, RecursionError)


class Refused(TelegramError):
    """Telegram answered, and the answer is no.

    Keeps what the library's own errors drop: the HTTP status, and both forms of waiting times.
    """

    def __init__(
        self,
        status: int,
        description: str,
        *,
        retry_after_s: float | None = None,
        migrated_to: int | None = None,
    ) -> None:
        super().__init__(f"{status} {description}")
        self.status = status
        self.description = description
        self.retry_after_s = retry_after_s
        self.migrated_to = migrated_to

    def says(self, *words: str) -> bool:
        """Whether the description holds one of these lower-case words."""
        return any(word in self.description.lower() for word in words)


class NoAnswer(Exception):
    """No answer that can be read; `was_written` False = Telegram certainly never saw the call."""

    def __init__(self, message: str, *, was_written: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.was_written = was_written
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True)
class WebhookState:
    """What getWebhookInfo tells."""

    url: str
    pending: int
    allowed_updates: frozenset[str]
    last_error: str | None
    last_error_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One message to send; `entities` are plain dictionaries in the Bot API's own form."""

    chat: str
    text: str
    entities: Sequence[Json] = ()
    thread: int | None = None
    reply_to: int | None = None


class BotApi:
    """One account's connection: `open`, then the calls, then `close`."""

    def __init__(self, settings: TelegramSettings) -> None:
        hush_libraries()
        self._token = settings.token.get_secret_value()
        self._preview = LinkPreviewOptions(is_disabled=not settings.link_previews)
        hooks = {"event_hooks": {"response": [self._raise_refusal]}}
        self._polls = HTTPXRequest(
            connection_pool_size=2,
            read_timeout=POLL_MARGIN_S,
            connect_timeout=CONNECT_S,
            httpx_kwargs=hooks,
        )
        sends = HTTPXRequest(
            connection_pool_size=2 * (SENDS_AT_ONCE + SIGNALS_AT_ONCE),
            read_timeout=SEND_READ_S,
            write_timeout=SEND_READ_S,
            connect_timeout=CONNECT_S,
            pool_timeout=CONNECT_S,
            httpx_kwargs=hooks,
        )
        self._bot = ExtBot(
            self._token,
            base_url=f"{settings.base_url}/bot",
            base_file_url=f"{settings.base_url}/file/bot",
            request=sends,
            get_updates_request=self._polls,
        )
        self._sends = asyncio.Semaphore(SENDS_AT_ONCE)
        self._signals = asyncio.Semaphore(SIGNALS_AT_ONCE)

    async def open(self) -> Me:
        """Prove the token and learn who we are."""
        with self._translated():
            await self._bot.initialize()
            user = self._bot.bot
            return Me(
                id=user.id,
                username=user.username or "",
                reads_groups=bool(user.can_read_all_group_messages),
            )

    async def close(self) -> None:
        """Let go of the connections; may be called whether or not `open` succeeded."""
        await self._bot.shutdown()

    async def updates(self, offset: int | None, *, wait_s: float) -> list[object]:
        """One long poll, as plain JSON; `offset` confirms everything below it."""
        query: dict[str, str] = {
            "timeout": str(math.ceil(wait_s)),
            "allowed_updates": json.dumps(ALLOWED_UPDATES),
        }
        if offset is not None:
            query["offset"] = str(offset)
        with self._translated():
            # The library's get_updates would build objects of what parse.py reads as JSON.
            found = await self._polls.post(
                f"{self._bot.base_url}/getUpdates?{urlencode(query)}",
                read_timeout=wait_s + POLL_MARGIN_S,
            )
            if not isinstance(found, list):
                raise TypeError("getUpdates gave no list")
            return list(found)

    async def send(self, message: Text) -> str:
        """Send one message; returns Telegram's id of it."""
        entities = [MessageEntity(**entity) for entity in message.entities]
        reply = None
        if message.reply_to is not None:
            reply = ReplyParameters(message.reply_to, allow_sending_without_reply=True)
        async with self._slot():
            with self._translated():
                sent = await self._bot.send_message(
                    message.chat,
                    message.text,
                    entities=entities or None,
                    message_thread_id=message.thread,
                    reply_parameters=reply,
                    link_preview_options=self._preview,
                )
                return str(sent.message_id)

    async def show_typing(self, chat: str, *, thread: int | None) -> None:
        """Show "typing" for the next five seconds."""
        async with self._signals:
            with self._translated():
                await self._bot.send_chat_action(chat, ChatAction.TYPING, message_thread_id=thread)

    async def answer_press(self, press_id: str) -> None:
        """End the waiting shown on a pressed button."""
        async with self._signals:
            with self._translated():
                await self._bot.answer_callback_query(press_id)

    async def webhook(self) -> WebhookState:
        """Where Telegram posts updates to now, and how that goes."""
        with self._translated():
            info = await self._bot.get_webhook_info()
            return WebhookState(
                url=info.url,
                pending=info.pending_update_count,
                allowed_updates=frozenset(info.allowed_updates or ()),
                last_error=self._without_token(info.last_error_message or "") or None,
                last_error_at=info.last_error_date,
            )

    async def set_webhook(self, url: str, *, secret: str) -> None:
        """Have updates posted to `url`; what waits is kept."""
        with self._translated():
            await self._bot.set_webhook(
                url, allowed_updates=list(ALLOWED_UPDATES), secret_token=secret
            )

    async def delete_webhook(self) -> None:
        """Have updates wait for polling; what waits is kept."""
        with self._translated():
            await self._bot.delete_webhook(drop_pending_updates=False)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(SLOT_WITHIN_S):
                await self._sends.acquire()
        except TimeoutError:
            raise NoAnswer("too many messages are being sent", was_written=False) from None
        try:
            yield
        finally:
            self._sends.release()

    async def _raise_refusal(self, response: httpx.Response) -> None:
        if not response.is_success:
            body = await response.aread()
            raise _refusal(response, self._without_token(body.decode("utf-8", "replace")))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The library's errors as ours; their texts may hold the address and are left behind."""
        try:
            yield
        except Refused:
            raise
        except TelegramError as error:
            cause = error.__cause__ or error
            raise NoAnswer(
                f"no answer from Telegram ({type(cause).__name__})",
                was_written=not isinstance(cause, _NEVER_WRITTEN),
                timed_out=isinstance(cause, httpx.ReadTimeout),
            ) from None
        except _UNEXPECTED_ANSWER as error:
            raise NoAnswer(
                f"an answer that is not the Bot API's ({type(error).__name__})", was_written=True
            ) from None

    def _without_token(self, text: str) -> str:
        return text.replace(self._token, "[token]")


def hush_libraries() -> None:
    """Keep the libraries' own logs quiet: at INFO and DEBUG they hold every address and text.

    Nothing is lost by it: whatever goes wrong in them reaches us as an error.
    """
    logging.getLogger("telegram").setLevel(logging.CRITICAL)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _refusal(response: httpx.Response, body: str) -> Refused:
    """Read an error answer; a proxy's HTML page counts as one without a description."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    answer = document if isinstance(document, dict) else {}
    parameters = answer.get("parameters")
    details = parameters if isinstance(parameters, dict) else {}
    migrated_to = details.get("migrate_to_chat_id")
    return Refused(
        response.status_code,
        str(answer.get("description") or response.reason_phrase or "without a reason"),
        retry_after_s=_seconds(details.get("retry_after"), response.headers.get("Retry-After")),
        migrated_to=migrated_to if isinstance(migrated_to, int) else None,
    )


def _seconds(*values: object) -> float | None:
    """The first value that is a number of seconds."""
    for value in values:
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, str) and value.strip().isdecimal():
            return float(value)
    return None

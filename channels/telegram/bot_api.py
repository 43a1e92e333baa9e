"""The Bot API as the channel needs it: its calls with plain values.

Takes settings. Uses the Telegram library for its methods alone: no Updater, no Application, no
queue in memory. Every call raises `Refused` or `NoAnswer` of `transport.py`, and nothing else. No
retries and no decisions; all that is kept here is how many calls run at once.
"""

import asyncio
import json
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from telegram.ext import ExtBot

from channels.telegram.reading import ALLOWED_UPDATES, Me
from channels.telegram.settings import TelegramSettings
from channels.telegram.transport import AiohttpRequest, NoAnswer
from channels.telegram.uploads import Upload

POLL_MARGIN_S: Final = 10.0
"""How much longer than its own time limit a long poll may take."""

SENDS_AT_ONCE: Final = 20
"""Messages on their way at the same time; more only wait at Telegram instead of here."""

UPLOADS_AT_ONCE: Final = 4

SIGNALS_AT_ONCE: Final = 4

FILES_AT_ONCE: Final = 4

FILE_S: Final = 120.0
"""How long a whole file may take to arrive."""

SLOT_WITHIN_S: Final = 15.0
"""How long a message may wait for its turn; then it was certainly not sent."""

_POLLS_AND_CHECKS: Final = 4
_CONNECTIONS: Final = (
    SENDS_AT_ONCE + UPLOADS_AT_ONCE + SIGNALS_AT_ONCE + FILES_AT_ONCE + _POLLS_AND_CHECKS
)

_UNEXPECTED_ANSWER: Final = (KeyError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class WebhookState:
    """What getWebhookInfo tells."""

    url: str
    pending: int
    allowed_updates: frozenset[str]
    last_error: str | None
    last_error_at: datetime | None


@dataclass(frozen=True, slots=True)
class FileState:
    """What getFile tells; the path is below `/file/bot<token>/`."""

    path: str
    size_bytes: int | None


class BotApi:
    """One account's connection: `open`, then the calls, then `close`."""

    def __init__(self, settings: TelegramSettings) -> None:
        hush_library()
        self._token = settings.token.get_secret_value()
        self._requests = AiohttpRequest(connections=_CONNECTIONS, secret=self._token)
        self._bot = ExtBot(
            self._token,
            base_url=f"{settings.base_url}/bot",
            base_file_url=f"{settings.base_url}/file/bot",
            request=self._requests,
            get_updates_request=self._requests,
        )
        self._sends = asyncio.Semaphore(SENDS_AT_ONCE)
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._signals = asyncio.Semaphore(SIGNALS_AT_ONCE)
        self._downloads = asyncio.Semaphore(FILES_AT_ONCE)

    async def open(self) -> Me:
        """Prove the token and learn who we are."""
        with self._read_answer():
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
        with self._read_answer():
            # The library's get_updates would build objects of what parse.py reads as JSON.
            found = await self._requests.post(
                f"{self._bot.base_url}/getUpdates?{urlencode(query)}",
                read_timeout=wait_s + POLL_MARGIN_S,
            )
            if not isinstance(found, list):
                raise NoAnswer("getUpdates gave no list", was_written=True)
            return list(found)

    async def send(
        self, method: str, parameters: Mapping[str, object], *, upload: Upload | None = None
    ) -> str:
        """Send one message, with at most one file; returns Telegram's id of it."""
        # The library's methods would build objects of plain values, and of the answer.
        async with self._slot(self._sends if upload is None else self._uploads):
            with self._read_answer():
                sent = await self._requests.call(
                    f"{self._bot.base_url}/{method}", parameters, upload=upload
                )
                if not isinstance(sent, dict):
                    raise NoAnswer(f"{method} gave no message", was_written=True)
                return str(sent["message_id"])

    async def signal(self, method: str, parameters: Mapping[str, object]) -> None:
        """Show something that is no message."""
        async with self._signals:
            await self._requests.call(f"{self._bot.base_url}/{method}", parameters)

    async def file(self, file_id: str) -> FileState:
        """Where a file that arrived can be had, for an hour at least."""
        with self._read_answer():
            # The library's get_file would join the path to an address that holds the token.
            query = urlencode({"file_id": file_id})
            found = await self._requests.post(f"{self._bot.base_url}/getFile?{query}")
            if not isinstance(found, dict):
                raise NoAnswer("getFile gave no file", was_written=True)
            size = found.get("file_size")
            return FileState(
                path=str(found["file_path"]), size_bytes=size if isinstance(size, int) else None
            )

    async def download(self, path: str) -> AsyncGenerator[bytes, None]:
        """The bytes of a file, in pieces; `path` is what `file` gave."""
        url = f"{self._bot.base_file_url}/{quote(path)}"
        async with self._downloads, aclosing(self._requests.pieces(url, within_s=FILE_S)) as pieces:
            async for piece in pieces:
                yield piece

    async def answer_press(self, press_id: str) -> None:
        """End the waiting shown on a pressed button."""
        async with self._signals:
            with self._read_answer():
                await self._bot.answer_callback_query(press_id)

    async def webhook(self) -> WebhookState:
        """Where Telegram posts updates to now, and how that goes."""
        with self._read_answer():
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
        with self._read_answer():
            await self._bot.set_webhook(
                url, allowed_updates=list(ALLOWED_UPDATES), secret_token=secret
            )

    async def delete_webhook(self) -> None:
        """Have updates wait for polling; what waits is kept."""
        with self._read_answer():
            await self._bot.delete_webhook(drop_pending_updates=False)

    @asynccontextmanager
    async def _slot(self, slots: asyncio.Semaphore) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(SLOT_WITHIN_S):
                await slots.acquire()
        except TimeoutError:
            raise NoAnswer("too many messages are being sent", was_written=False) from None
        try:
            yield
        finally:
            slots.release()

    @contextmanager
    def _read_answer(self) -> Iterator[None]:
        """An answer that is JSON but not the Bot API's, as an error of ours."""
        try:
            yield
        except _UNEXPECTED_ANSWER as error:
            raise NoAnswer(
                f"an answer that is not the Bot API's ({type(error).__name__})", was_written=True
            ) from None

    def _without_token(self, text: str) -> str:
        return text.replace(self._token, "[token]")


def hush_library() -> None:
    """Keep the library's own log quiet: at DEBUG it holds every address and text.

    Nothing is lost by it: whatever goes wrong in it reaches us as an error.
    """
    logging.getLogger("telegram").setLevel(logging.CRITICAL)

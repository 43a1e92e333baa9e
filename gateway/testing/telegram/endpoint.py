"""A fake Telegram: the Bot API over HTTP, and the people on the other side.

Takes what a test's people post (texts, edits, photos, button presses, blocks) and what shall go
wrong. Gives updates by long polling or to the webhook, logs and judges every call of the bot, and
shows what the people got. One server is one bot; it keeps everything in memory.
"""

import asyncio
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gateway.testing.loopback import Changes, Loopback
from gateway.testing.telegram.api import BotApi
from gateway.testing.telegram.chats import Chats, Draft, SentMessage
from gateway.testing.telegram.faults import BotCall, TelegramFault
from gateway.testing.telegram.methods import BotMethods
from gateway.testing.telegram.pace import Pace, Rates
from gateway.testing.telegram.people import People
from gateway.testing.telegram.queue import UpdateQueue
from gateway.testing.telegram.spec import Spec
from gateway.testing.telegram.updates import Person
from gateway.testing.telegram.webhook import WebhookAttempt, WebhookRetry
from gateway.testing.watched import Watched
from gateway.testing.wire import JsonObject

FAKE_CREDENTIAL: Final = "123456789:AAFakeTokenOfTheFakeTelegramServer0"
SPEC_VARIABLE: Final = "BOT_GATEWAY_TELEGRAM_SPEC"


class TelegramServer(People, Watched[BotCall, TelegramFault]):
    """The fake platform; an async context manager.

    `spec` (else the file named by BOT_GATEWAY_TELEGRAM_SPEC) judges every call by the
    specification; without it only the limits are checked. `newer` allows methods and fields that
    the file does not know yet, by method or type. `strict`: a call that breaks a rule gets 400,
    else it is only recorded. `rates` switches the platform's sending limits on, `retry` tells how
    a webhook is tried again.
    """

    def __init__(
        self,
        *,
        token: str = FAKE_CREDENTIAL,
        port: int = 0,
        spec: Path | None = None,
        newer: Mapping[str, Collection[str]] | None = None,
        strict: bool = True,
        rates: Rates | None = None,
        retry: WebhookRetry | None = None,
        username: str = "fake_bot",
        first_update_id: int = 1000,
    ) -> None:
        self.token = token
        bot_id = int(token.split(":", maxsplit=1)[0])
        bot = Person(bot_id, "Fake Bot", username, language_code=None, is_bot=True)
        self.attempts: list[WebhookAttempt] = []
        self._changes = Changes()
        chats = Chats(bot)
        queue = UpdateQueue(first_id=first_update_id, on_change=self._changes.tell)
        methods = BotMethods(
            bot, chats, queue, retry=retry or WebhookRetry(), on_attempt=self._note_attempt
        )
        super().__init__(bot, chats, queue, methods)
        self._api = BotApi(
            token,
            methods,
            spec=_load_spec(spec, newer),
            pace=Pace(rates),
            strict=strict,
            on_change=self._changes.tell,
        )
        self._log = self._api.log
        self._door = Loopback(self._api.answer, port=port)

    @property
    def api_url(self) -> str:
        """Address to which `/bot<token>/` and `/file/bot<token>/` are appended."""
        return self._door.url

    @property
    def is_judged_by_spec(self) -> bool:
        """A specification was found."""
        return self._api.spec is not None

    # --- what the platform does

    def redeliver(self, update: JsonObject, times: int = 1) -> None:
        """Deliver an update again although it may be confirmed, as the platform may do."""
        if self._methods.courier is None:
            self._queue.repeat(update, times)
            return
        for _ in range(times):
            self._methods.courier.carry(update)

    async def post_to_webhook(self, update: JsonObject, times: int = 1) -> list[WebhookAttempt]:
        """Post an update to the webhook that many times at once, without retries."""
        courier = self._methods.courier
        if courier is None:
            raise RuntimeError("no webhook is set")
        return await asyncio.gather(*(courier.post(update) for _ in range(times)))

    def pass_time(self, seconds: float) -> list[JsonObject]:
        """Let that much time pass on the platform; gives the updates it does not keep any longer.

        Messages have the dates of its time; limits and retries stay those of the real clock.
        """
        return self._queue.pass_time(seconds)

    def hold_updates(self) -> None:
        """Keep what people post from now on back, until `release_updates`."""
        self._queue.hold()

    def release_updates(self, *, reverse: bool = False) -> None:
        """Deliver what was kept back, the newest first when `reverse`.

        Telegram keeps an order within a chat only while each delivery succeeds at once.
        """
        for update in self._queue.release(reverse=reverse):
            if self._methods.courier is not None:
                self._methods.courier.carry(update)

    def skip_update_ids(self, next_id: int) -> None:
        """Let the next update have this id, also a lower one, as after a week without updates."""
        self._queue.next_id = next_id

    # --- what came of it

    @property
    def problems(self) -> list[str]:
        """Every broken rule so far, with its method; a test may demand that it is empty."""
        return [f"{call.method}: {text}" for call in self.calls for text in call.problems]

    @property
    def early(self) -> list[str]:
        """Calls that came before the time their chat was told by a 429."""
        return self._api.pace.early

    @property
    def pending(self) -> list[JsonObject]:
        """Updates the bot has not confirmed, by offset or by answering its webhook."""
        return self._queue.pending

    @property
    def offset(self) -> int:
        """The highest offset the bot has sent: everything below it is confirmed."""
        return self._queue.offset

    @property
    def drafts(self) -> list[Draft]:
        """Every state of every draft, oldest first."""
        return self._chats.drafts

    @property
    def commands(self) -> list[JsonObject]:
        """What setMyCommands was told last."""
        return self._methods.commands

    def sent(self, chat: int | None = None) -> list[SentMessage]:
        """Messages the people see (of that chat), in the order they were accepted.

        A message counts when the platform accepted it, also when its answer got lost.
        """
        return self._chats.sent(chat)

    async def wait_for_sent(
        self, count: int, *, timeout_s: float | None = 5.0, chat: int | None = None
    ) -> list[SentMessage]:
        """Wait until so many messages were sent (to that chat) and give them."""
        await self.wait_until(
            lambda: self._chats.counts[chat] >= count,
            timeout_s=timeout_s,
            otherwise=lambda: f"{len(self.sent(chat))} of {count} messages were sent",
        )
        return self.sent(chat)

    async def wait_until_confirmed(self, *, timeout_s: float | None = 5.0) -> None:
        """Wait until no update is pending."""
        await self.wait_until(
            lambda: not self.pending,
            timeout_s=timeout_s,
            otherwise=lambda: f"{len(self.pending)} updates are not confirmed",
        )

    async def __aenter__(self) -> Self:
        await self._door.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._methods.close()
        await self._door.close()

    def _note_attempt(self, attempt: WebhookAttempt) -> None:
        self.attempts.append(attempt)
        self._changes.tell()


def _load_spec(path: Path | None, newer: Mapping[str, Collection[str]] | None) -> Spec | None:
    named = os.environ.get(SPEC_VARIABLE)
    chosen = path or (Path(named) if named else None)
    return Spec.load(chosen, newer=newer) if chosen is not None else None

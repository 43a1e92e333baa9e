"""What a person sees while a turn runs: "typing", and in private chats a draft of the answer.

Takes the text so far; shows it as a draft, which is no message and vanishes by itself. Sends
nothing that stays: the answer comes by `sending.py`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from channels.telegram.bot_api import BotApi
from channels.telegram.failures import Throttles, is_unknown_method
from channels.telegram.outgoing import number, where
from channels.telegram.render import TEXT_UNITS, Part, preview
from channels.telegram.transport import NoAnswer, Refused
from gateway.contract import Address, LiveKind
from gateway.errors import DeliveryRefused, DeliveryUnknown

SIGNAL_S: Final = 4.0
"""Telegram shows typing for 5 s at most. Bot API, sendChatAction; read November 2026."""

SIGNAL_WITHIN_S: Final = 5.0

DRAFT_EVERY_S: Final = 0.5
DRAFT_LIVES_S: Final = 20.0
"""A draft is a preview of 30 s: it is shown again in time. Bot API, sendMessageDraft."""

_DRAFT_IDS: Final = 2**31 - 1


@dataclass(slots=True)
class Drafts:
    """Whether this account's server knows drafts; one that does not is asked once."""

    are_known: bool = True


class Typing:
    """Shows "typing" while a turn runs; Telegram takes it away with our next message."""

    kind: LiveKind = "signal"
    refresh_s = SIGNAL_S
    min_interval_s = SIGNAL_S

    def __init__(self, api: BotApi, address: Address, *, throttles: Throttles) -> None:
        self._api = api
        self._address = address
        self._throttles = throttles

    async def working(self, label: str | None) -> None:
        """Show it for the next five seconds; raises as `deliver` when that fails."""
        await self._shown(lambda: self._api.signal("sendChatAction", self._call(action="typing")))

    async def show(self, text: str) -> None:
        """Nothing: a signal carries no text."""

    async def open(self, delivery_id: str) -> str:
        """Never called for what is no message."""
        raise DeliveryRefused("this output is no message that could be opened")

    def _call(self, **parameters: object) -> dict[str, object]:
        return where(self._address.chat, number(self._address.thread)) | parameters

    async def _shown(self, call: Callable[[], Awaitable[None]]) -> None:
        """Make one call; its errors are those of a delivery."""
        now_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(SIGNAL_WITHIN_S):
                await call()
        except (Refused, NoAnswer) as error:
            raise self._throttles.meaning(error, self._address.chat, now_s=now_s) from error
        except TimeoutError as error:
            raise DeliveryUnknown("Telegram took too long to show a signal") from error


class Drafting(Typing):
    """Shows the text so far as a draft, and "typing" until there is any.

    A draft that Telegram refuses leaves the signal; being too fast ends the output of this turn. A
    draft never grows beyond one message.
    """

    kind: LiveKind = "preview"
    min_interval_s = DRAFT_EVERY_S

    def __init__(
        self, api: BotApi, address: Address, *, throttles: Throttles, drafts: Drafts
    ) -> None:
        super().__init__(api, address, throttles=throttles)
        self._drafts = drafts
        self._is_refused = False
        self._id = random.randint(1, _DRAFT_IDS)
        self._source: str | None = None
        self._part = Part(text="", entities=[])
        self._at_s = 0.0

    async def working(self, label: str | None) -> None:
        """A sign of life: "typing", or where a draft stands, that it is thought about."""
        if self._source is not None and not self._is_refused:
            await self.show("")
            return
        await super().working(label)
        self._at_s = asyncio.get_running_loop().time()

    async def show(self, text: str) -> None:
        """Show the text so far; the same again only when it would vanish."""
        since_s = asyncio.get_running_loop().time() - self._at_s
        if self._is_refused:
            if since_s >= SIGNAL_S:
                await self.working(None)
            return
        source = text[:TEXT_UNITS]
        is_old = since_s >= DRAFT_LIVES_S
        if source == self._source and not is_old:
            return
        if source != self._source:
            self._part = preview(source)
        try:
            await self._shown(self._draft)
        except DeliveryRefused as refused:
            if refused.scope == "account":
                raise
            self._is_refused = True
            await self.working(None)
            return
        self._source = source
        self._at_s = asyncio.get_running_loop().time()

    async def _draft(self) -> None:
        draft = self._call(draft_id=self._id, text=self._part["text"])
        if self._part["entities"]:
            draft["entities"] = list(self._part["entities"])
        # The button is newer than most servers: one that does not know it ignores these two.
        draft |= {"can_stop": True, "keep_on_stop": True}
        try:
            await self._api.signal("sendMessageDraft", draft)
        except Refused as refusal:
            self._drafts.are_known = not is_unknown_method(refusal)
            raise


def live_output(
    api: BotApi, address: Address, *, throttles: Throttles, drafts: Drafts
) -> Typing | Drafting:
    """Drafts in private chats of a server that knows them; elsewhere only the signal."""
    if drafts.are_known and address.chat.isdecimal():
        return Drafting(api, address, throttles=throttles, drafts=drafts)
    return Typing(api, address, throttles=throttles)

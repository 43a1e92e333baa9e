"""Sends parts: each once, and what Telegram certainly refused once more in a weaker form.

Takes stored parts; gives receipts, or raises the contract's delivery errors. A part that had to be
cut remembers here how much of it has arrived, so that a later attempt goes on after that; after a
restart it begins anew. Waits for nothing and repeats nothing that may have arrived.
"""

import asyncio
from collections import OrderedDict
from typing import Final

from channels.telegram.bot_api import BotApi
from channels.telegram.door import Door
from channels.telegram.failures import Throttles, is_there_already, weaker, without_file
from channels.telegram.media_out import upload_of
from channels.telegram.outgoing import Outgoing, call_of, outgoing
from channels.telegram.transport import NoAnswer, Refused
from channels.telegram.uploads import Unsendable
from gateway.contract import Address, ChannelHost, Json, Receipt
from gateway.errors import DeliveryLater, GatewayError

_BEGUN_MOST: Final = 1_000
"""Parts of which only some pieces arrived; the oldest are forgotten."""


class Sender:
    """The way out of one connected account."""

    def __init__(
        self,
        api: BotApi,
        host: ChannelHost,
        *,
        door: Door,
        throttles: Throttles,
        link_previews: bool,
    ) -> None:
        self._api = api
        self._host = host
        self._door = door
        self._throttles = throttles
        self._link_previews = link_previews
        self._begun: OrderedDict[tuple[str, str], tuple[list[Outgoing], str]] = OrderedDict()

    async def send(self, address: Address, part: Json, *, delivery_id: str) -> Receipt:
        """Send one part; gives Telegram's id of its first message."""
        whole = outgoing(address, part)
        left, first_id = self._begun.pop((delivery_id, whole.text), ([whole], ""))
        chat = address.chat
        while left:
            chat = left[0].chat
            try:
                sent_id = await self._post(left[0])
            except Unsendable as problem:
                left[:1] = [without_file(left[0], problem.reason)]
                continue
            except (Refused, NoAnswer) as error:
                instead = weaker(left[0], error) if isinstance(error, Refused) else ()
                if instead:
                    left[:1] = instead
                    continue
                if not (isinstance(error, Refused) and is_there_already(error)):
                    self._keep((delivery_id, whole.text), left, first_id)
                    now_s = asyncio.get_running_loop().time()
                    raise self._throttles.meaning(error, chat, now_s=now_s) from error
                sent_id = first_id
            first_id = first_id or sent_id
            left.pop(0)
        if chat != address.chat:
            await self._door.report_move(address.chat, chat)
        return Receipt(first_id or None)

    async def _post(self, message: Outgoing) -> str:
        method, parameters = call_of(message, link_previews=self._link_previews)
        if message.media is None:
            return await self._api.send(method, parameters)
        try:
            return await self._post_file(message.media, method, parameters)
        except (GatewayError, OSError) as error:
            raise DeliveryLater("the file could not be read") from error

    async def _post_file(self, media: Json, method: str, parameters: dict[str, object]) -> str:
        file = self._host.open_file(str(media["ref"]))
        upload = await upload_of(media, file)
        try:
            return await self._api.send(method, parameters, upload=upload)
        except NoAnswer:
            if upload.failure is not None:
                raise upload.failure from None
            raise
        finally:
            if not upload.is_begun:
                await file.aclose()

    def _keep(self, key: tuple[str, str], left: list[Outgoing], first_id: str) -> None:
        """Remember what is left of a part, if any of it has arrived."""
        if first_id:
            self._begun[key] = (left, first_id)
        while len(self._begun) > _BEGUN_MOST:
            self._begun.popitem(last=False)

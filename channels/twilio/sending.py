"""One part -> one message at Twilio, once.

What Twilio certainly refused for its form goes out once more in a simpler one: without files, or in
two halves. On WhatsApp text is free only within 24 hours of the person's last message; later it
goes inside an approved template, if there is one.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from channels.twilio.api import Outgoing, TwilioApi
from channels.twilio.failures import delivery_error, failure_of
from channels.twilio.files_out import FileLinks, LinkedFile
from channels.twilio.finding import SentMemory
from channels.twilio.health import Health
from channels.twilio.render import VARIABLE_CHARS, one_line
from channels.twilio.settings import Line
from channels.twilio.transport import NoAnswer, Refused
from gateway.contract import Address, ChannelHost, Json, Receipt
from gateway.contract.cut import pieces, units
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, GatewayError

WINDOW: Final = timedelta(hours=24)
"""Twilio, error 63016: free text within 24 hours of the person's last message (November 2026)."""

_TOO_LONG: Final = 21617


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailer:
    """Sends the parts of one connected channel."""

    api: TwilioApi
    host: ChannelHost
    line: Line
    health: Health
    memory: SentMemory
    links: FileLinks
    hook_url: str
    template: str | None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def send(self, address: Address, part: Json, *, delivery_id: str) -> Receipt:
        """Send one part; raises the contract's three errors and nothing else."""
        held_s = self.health.held_s
        if held_s > 0:
            raise DeliveryLater(
                "the sender is over its rate", retry_after_s=held_s, scope="account"
            )
        message = await self._message(address, part, delivery_id=delivery_id)
        try:
            return await self._create(message)
        except Refused as refusal:
            simpler = _simpler(message, refusal)
        first, *rest = simpler
        receipt = await self._once(first)
        for further in rest:
            try:
                receipt = await self._once(further)
            except GatewayError as error:
                raise DeliveryUnknown(f"a half of it was taken; then: {error}") from error
        return receipt

    async def _message(self, address: Address, part: Json, *, delivery_id: str) -> Outgoing:
        if self.line.number(address.chat) is None:
            raise DeliveryRefused("this is no number that could be written to", scope="address")
        message = Outgoing(
            to=address.chat,
            text=str(part.get("text", "")),
            media=tuple(self._address_of(file) for file in part.get("media", ())),
            status_callback=f"{self.hook_url}/status?delivery={quote(delivery_id, safe='')}",
        )
        if not message.text and not message.media:
            raise DeliveryRefused("the part is empty")
        if self.line.platform == "whatsapp" and not await self._is_open(address):
            return self._in_template(message)
        return message

    def _address_of(self, file: Json) -> str:
        linked = LinkedFile(file["ref"], file.get("mime"))
        return f"{self.hook_url}/media/{self.links.token(linked, now=self.now())}"

    async def _is_open(self, address: Address) -> bool:
        """Whether WhatsApp lets free text through to that person."""
        try:
            heard_at = await self.host.heard_at(self.line.account, address)
        except GatewayError as error:
            raise DeliveryLater("it is not known when that person last wrote") from error
        return heard_at is not None and self.now() - heard_at < WINDOW

    def _in_template(self, message: Outgoing) -> Outgoing:
        if self.template is None or message.media or not message.text:
            raise DeliveryRefused(
                "the person last wrote more than 24 hours ago: WhatsApp takes only text in an "
                "approved template now (template_sid)",
                code="outside_window",
            )
        variables = {"1": one_line(message.text, limit=VARIABLE_CHARS)}
        return replace(message, text="", template=self.template, variables=json.dumps(variables))

    async def _once(self, message: Outgoing) -> Receipt:
        try:
            return await self._create(message)
        except Refused as refusal:
            raise delivery_error(refusal, now=self.now()) from refusal

    async def _create(self, message: Outgoing) -> Receipt:
        """One call; raises Refused only for what is worth a simpler form."""
        try:
            sid = await self.api.create(message)
        except NoAnswer as silence:
            raise delivery_error(silence, now=self.now()) from silence
        except Refused as refusal:
            failure = failure_of(refusal)
            if failure is not None and failure.meaning == "weaker":
                raise
            self.health.note_failure(failure, code=refusal.code)
            is_busy = failure is not None and failure.meaning == "busy"
            count = self.health.note_busy() if is_busy else 0
            raise delivery_error(refusal, now=self.now(), busy_count=count) from refusal
        self.memory.note_answer(sid)
        self.health.note_success()
        return Receipt(sid)


def _simpler(message: Outgoing, refusal: Refused) -> list[Outgoing]:
    """The message in a form Twilio may take; raises DeliveryRefused where there is none."""
    if refusal.code == _TOO_LONG and units(message.text) > 1:
        return [replace(message, text=half) for half in halves(message.text)]
    if refusal.code != _TOO_LONG and message.media and message.text:
        return [replace(message, media=())]
    raise DeliveryRefused(f"Twilio: {refusal}") from refusal


def halves(text: str) -> list[str]:
    """A text in two or three parts, cut at a good place; files would go with the first.

    >>> halves("one two. three four.")
    ['one two.', 'three four.']
    """
    return [text[start:end] for start, end in pieces(text, (units(text) + 1) // 2 + 1)]

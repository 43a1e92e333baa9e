"""The search for a message whose create was never answered: whether it was taken.

A callback may have told it already: its address carries our delivery id, and what the callbacks and
answers of the last while told is remembered. Else Twilio's list is asked for messages to that
person since the try, and their words are compared: a send without an answer is never simply
repeated, for a second SMS costs money and annoys.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Final

from channels.twilio.api import Listed, TwilioApi
from channels.twilio.failures import connect_error
from channels.twilio.render import VARIABLE_CHARS, one_line
from channels.twilio.segments import transliterated
from channels.twilio.transport import NoAnswer, Refused
from gateway.contract import Json, Receipt, SentQuery

REMEMBERED: Final = 5_000

_CLOCKS_DIFFER: Final = timedelta(seconds=2)
_MAX_PAGES: Final = 5
_TRIAL: Final = "Sent from your Twilio trial account - "
"""What Twilio puts before every text of an account that has not been upgraded."""


class SentMemory:
    """The last messages; bounded, and empty after a start."""

    def __init__(self) -> None:
        self._answered: OrderedDict[str, None] = OrderedDict()
        self._told: OrderedDict[str, str] = OrderedDict()
        self._sid_of: dict[str, str] = {}

    def note_answer(self, sid: str) -> None:
        """A create was answered with that message: nobody is in doubt about it."""
        self._answered[sid] = None
        if len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)

    def note_callback(self, sid: str, delivery_id: str) -> None:
        """A callback told that a message is a delivery's, and that it has not failed."""
        self._told[sid] = delivery_id
        self._sid_of[delivery_id] = sid
        if len(self._told) > REMEMBERED:
            _, oldest = self._told.popitem(last=False)
            self._sid_of.pop(oldest, None)

    def unanswered(self, delivery_id: str) -> str | None:
        """The message of a delivery whose create was never answered, as a callback told it."""
        sid = self._sid_of.get(delivery_id)
        return None if sid in self._answered else sid

    def is_another(self, sid: str, delivery_id: str) -> bool:
        """Whether a message is known to be something else than a doubtful try of that delivery."""
        return sid in self._answered or self._told.get(sid, delivery_id) != delivery_id


async def find_sent(
    query: SentQuery, *, api: TwilioApi, memory: SentMemory, is_template: bool
) -> Receipt | None:
    """The message of a doubtful delivery; raises DeliveryLater when Twilio cannot be asked."""
    told = memory.unanswered(query.delivery_id)
    if told is not None:
        return Receipt(told)
    try:
        async for message in _sent_since(query, api):
            if memory.is_another(message.sid, query.delivery_id):
                continue
            if _says(message, query.part, is_template=is_template):
                return Receipt(message.sid)
    except (Refused, NoAnswer) as error:
        raise connect_error(error) from error
    return None


async def _sent_since(query: SentQuery, api: TwilioApi) -> AsyncIterator[Listed]:
    """Ours to that person since the try: by the time they were sent, then those not sent yet.

    Twilio filters by the time of sending, which a queued message does not have.
    """
    since = (query.since - _CLOCKS_DIFFER).replace(microsecond=0)
    for after, most_pages in ((since, _MAX_PAGES), (None, 1)):
        number = 0
        async with aclosing(api.pages(to=query.address.chat, after=after)) as listed:
            async for page in listed:
                for message in page:
                    if message.direction.startswith("outbound") and message.created_at >= since:
                        yield message
                number += 1
                if number == most_pages:
                    break


def _says(message: Listed, part: Json, *, is_template: bool) -> bool:
    """Whether a message is that part; Twilio may have put plain signs for typographic ones."""
    text, body = _flat(str(part.get("text", ""))), _flat(message.text)
    if not text:
        return not body and message.media_count == len(part.get("media", ()))
    if body in (text, _TRIAL + text):
        return True
    return is_template and _flat(one_line(text, limit=VARIABLE_CHARS)) in body


def _flat(text: str) -> str:
    return " ".join(transliterated(text).split())

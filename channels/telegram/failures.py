"""What a failed send means, by chapter "Making requests" of the Bot API and its server's source.

Takes an error of `bot_api.py`; gives the contract's delivery error, or the weaker form of the
message that is worth sending at once. Pure, but for `Throttles`, which remembers who was slowed.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from channels.telegram.bot_api import Text
from channels.telegram.transport import NoAnswer, Refused
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, Scope

DeliveryError = DeliveryLater | DeliveryUnknown | DeliveryRefused

TOKEN_REFUSED: Final = frozenset({401, 404})
"""401 for a token of the right form, 404 for any other: both mean the whole account."""

_CHAT_GONE: Final = ("chat not found", "peer_id_invalid", "user is deactivated")

_ACCOUNT_CHATS: Final = 3
_ACCOUNT_WITHIN_S: Final = 10.0
"""Telegram does not say if a chat or the bot is too fast: three chats in ten seconds decide."""


@dataclass(slots=True)
class Throttles:
    """The chats that were told to slow down lately."""

    _at: dict[str, float] = field(default_factory=dict)

    def scope(self, chat: str, *, now_s: float) -> Scope:
        """How far a throttling of this chat reaches; `now_s` is a monotonic time."""
        self._at = {c: at for c, at in self._at.items() if now_s - at < _ACCOUNT_WITHIN_S}
        self._at[chat] = now_s
        return "account" if len(self._at) >= _ACCOUNT_CHATS else "address"


def weaker(message: Text, refusal: Refused) -> Text | None:
    """The same message without what Telegram certainly refused, or None if that is all of it.

    Each step takes one thing away, so repeating it ends.
    """
    if refusal.migrated_to is not None and message.chat != str(refusal.migrated_to):
        return replace(message, chat=str(refusal.migrated_to))
    if refusal.status != 400:
        return None
    if message.entities and refusal.says("can't parse entities", "entity"):
        return replace(message, entities=())
    if message.reply_to is not None and refusal.says("replied", "reply message"):
        return replace(message, reply_to=None)
    if message.thread is not None and refusal.says("thread not found", "topic_deleted"):
        return replace(message, thread=None)
    return None


def delivery_error(error: Refused | NoAnswer, *, throttled: Scope = "address") -> DeliveryError:
    """The contract's word for a failed send; `throttled` is how far a 429 reaches."""
    if isinstance(error, NoAnswer):
        return DeliveryUnknown(str(error)) if error.was_written else DeliveryLater(str(error))
    sentence = f"Telegram: {error.description}"
    if error.status in TOKEN_REFUSED:
        return DeliveryRefused(f"Telegram refuses the token ({error})", scope="account")
    if error.status == 429:
        return DeliveryLater(sentence, retry_after_s=error.retry_after_s or 1.0, scope=throttled)
    if error.status == 403 or (error.status == 400 and error.says(*_CHAT_GONE)):
        return DeliveryRefused(sentence, scope="address")
    if error.status >= 500:
        return DeliveryUnknown(sentence)
    if error.status < 400 or error.status == 409:
        return DeliveryLater(sentence)
    return DeliveryRefused(sentence, scope="part")


def connect_error(error: Refused | NoAnswer) -> DeliveryLater | DeliveryRefused:
    """The contract's word for a failed connection: nothing was sent, so nothing is doubtful."""
    meaning = delivery_error(error)
    if isinstance(meaning, DeliveryRefused) and meaning.scope == "account":
        return meaning
    return DeliveryLater(str(meaning), retry_after_s=getattr(error, "retry_after_s", None))

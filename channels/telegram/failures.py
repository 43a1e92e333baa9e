"""What a failed send means, by chapter "Making requests" of the Bot API and its server's source.

Takes an error of `bot_api.py`; gives the contract's delivery error, or the weaker form of the
message that is worth sending at once. Pure, but for `Throttles`, which remembers who was slowed.

| answer                                | what follows                                             |
|---------------------------------------|----------------------------------------------------------|
| 401, 404 of the whole token           | the account is refused                                   |
| 403; 400 chat not found               | the address is refused                                   |
| 400 with the group's new id           | once more, to the new id                                 |
| 400 can't parse entities              | once more, plain                                         |
| 400 message is too long               | once more, in smaller pieces                             |
| 400 reply or thread not found         | once more, without it                                    |
| 400 message is not modified           | it is there: success                                     |
| 400 for a rich message or a file      | once more as text; as a document, then a notice in words |
| other 400                             | the part is refused                                      |
| 413                                   | a file: a notice in words; else the part is refused      |
| 429                                   | later, in this chat or for the whole account             |
| 5xx, an unreadable answer, no answer  | unknown                                                  |
"""

from dataclasses import dataclass, field, replace
from typing import Final

from channels.telegram.media_out import GONE, REFUSED, TOO_LARGE, notice_of
from channels.telegram.outgoing import Outgoing
from channels.telegram.render import TEXT_UNITS, cut
from channels.telegram.transport import NoAnswer, Refused
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, Scope

DeliveryError = DeliveryLater | DeliveryUnknown | DeliveryRefused

TOKEN_REFUSED: Final = frozenset({401, 404})
"""401 for a token of the right form, 404 for any other: both mean the whole account."""

_CHAT_GONE: Final = ("chat not found", "peer_id_invalid", "user is deactivated")
_TOO_LONG: Final = ("is too long", "message_too_long")
_UNKNOWN_METHOD: Final = "method not found"

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

    def meaning(self, error: Refused | NoAnswer, chat: str, *, now_s: float) -> DeliveryError:
        """The contract's word for what failed in that chat."""
        if isinstance(error, Refused) and error.status == 429:
            return delivery_error(error, throttled=self.scope(chat, now_s=now_s))
        return delivery_error(error)


def is_unknown_method(error: Refused) -> bool:
    """Whether the server is older than the method; the token is good."""
    return error.status == 404 and error.says(_UNKNOWN_METHOD)


def is_there_already(refusal: Refused) -> bool:
    """Whether what was to be shown is what stands there."""
    return refusal.status == 400 and refusal.says("message is not modified")


def weaker(message: Outgoing, refusal: Refused) -> tuple[Outgoing, ...]:
    """What is worth sending at once instead of a message, without what was certainly refused.

    Nothing if that is all of it. Each step takes one thing away, so repeating it ends.
    """
    if refusal.migrated_to is not None and message.chat != str(refusal.migrated_to):
        return (replace(message, chat=str(refusal.migrated_to)),)
    if message.rich is not None and is_unknown_method(refusal):
        return _in_pieces(replace(message, rich=None), limit=TEXT_UNITS)
    if message.media is not None and refusal.status == 413:
        return (without_file(message, TOO_LARGE),)
    if refusal.status != 400 or refusal.says(*_CHAT_GONE):
        return ()
    if message.reply_to is not None and refusal.says("replied", "reply message"):
        return (replace(message, reply_to=None),)
    if message.thread is not None and refusal.says("thread not found", "topic_deleted"):
        return (replace(message, thread=None),)
    return _plainer(message, refusal)


def without_file(message: Outgoing, reason: str) -> Outgoing:
    """The message with its file as a mere file, and then with words instead of it."""
    media = message.media or {}
    if media.get("kind") != "document" and reason != GONE:
        return replace(message, media={**media, "kind": "document"})
    words = [message.text, notice_of(media, reason)]
    return replace(message, media=None, text="\n\n".join(filter(None, words)))


def _plainer(message: Outgoing, refusal: Refused) -> tuple[Outgoing, ...]:
    """The same content in a form that Telegram has less to say about."""
    if message.rich is not None:
        return _in_pieces(replace(message, rich=None), limit=TEXT_UNITS)
    if message.entities and refusal.says("can't parse entities", "entity"):
        return (replace(message, entities=()),)
    if refusal.says(*_TOO_LONG) and not message.is_piece:
        return _smaller(message)
    if message.media is not None:
        return (without_file(message, REFUSED),)
    return ()


def _smaller(message: Outgoing) -> tuple[Outgoing, ...]:
    """A text in halves; a text that stood below a file goes before it."""
    if message.media is None:
        made = _in_pieces(replace(message, is_piece=True), limit=TEXT_UNITS // 2)
        return made if len(made) > 1 else ()
    text = replace(message, media=None, buttons=(), is_piece=True)
    return text, replace(message, text="", entities=(), reply_to=None, is_piece=True)


def _in_pieces(message: Outgoing, *, limit: int) -> tuple[Outgoing, ...]:
    """The first piece points to the message that is answered, the last has the buttons."""
    made = [
        replace(message, text=piece["text"], entities=piece["entities"], reply_to=None, buttons=())
        for piece in cut(message.text, message.entities, limit=limit)
    ]
    if made:
        made[0] = replace(made[0], reply_to=message.reply_to)
        made[-1] = replace(made[-1], buttons=message.buttons)
    return tuple(made)


def delivery_error(error: Refused | NoAnswer, *, throttled: Scope = "address") -> DeliveryError:
    """The contract's word for a failed send; `throttled` is how far a 429 reaches."""
    if isinstance(error, NoAnswer):
        return DeliveryUnknown(str(error)) if error.was_written else DeliveryLater(str(error))
    sentence = f"Telegram: {error.description}"
    if is_unknown_method(error):
        return DeliveryRefused(sentence, scope="part")
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

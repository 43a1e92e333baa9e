"""One message as it goes out, and the call of the Bot API that sends it. Pure.

Takes the address and a part as `render.py` made it; gives an `Outgoing`, which loses whatever
Telegram refuses (`failures.py`), and for each of its forms the method and its parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.contract import Address, Json
from gateway.errors import DeliveryRefused

GENERAL_TOPIC: Final = 1
"""The topic that every forum has; it is addressed by naming none. Bot API server, its source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What goes to a chat as one message; `entities` are in the Bot API's own form.

    `is_piece`: it was cut out of a longer one already.
    """

    chat: str
    text: str
    entities: Sequence[Json] = ()
    rich: str | None = None
    media: Json | None = None
    buttons: Sequence[Sequence[str]] = ()
    thread: int | None = None
    reply_to: int | None = None
    is_piece: bool = False


def outgoing(address: Address, part: Json) -> Outgoing:
    """A stored part as one message to send; raises DeliveryRefused for an impossible address."""
    return Outgoing(
        chat=address.chat,
        text=part["text"],
        entities=part.get("entities", ()),
        rich=part.get("rich"),
        media=part.get("media"),
        buttons=part.get("buttons", ()),
        thread=number(address.thread),
        reply_to=number(part.get("reply_to")),
    )


def call_of(message: Outgoing, *, link_previews: bool) -> tuple[str, dict[str, object]]:
    """The method that sends it, and its parameters; a file itself is not among them."""
    parameters = where(message.chat, message.thread)
    if message.reply_to is not None:
        reply = {"message_id": message.reply_to, "allow_sending_without_reply": True}
        parameters["reply_parameters"] = reply
    if message.buttons:
        rows = [[{"text": text, "callback_data": data}] for text, data in message.buttons]
        parameters["reply_markup"] = {"inline_keyboard": rows}
    if message.media is not None:
        if message.text:
            parameters["caption"] = message.text
        if message.text and message.entities:
            parameters["caption_entities"] = list(message.entities)
        return f"send{str(message.media['kind']).capitalize()}", parameters
    if message.rich is not None:
        parameters["rich_message"] = {"html": message.rich}
        return "sendRichMessage", parameters
    parameters["text"] = message.text
    if message.entities:
        parameters["entities"] = list(message.entities)
    parameters["link_preview_options"] = {"is_disabled": not link_previews}
    return "sendMessage", parameters


def where(chat: str, thread: int | None) -> dict[str, object]:
    """The parameters that address a chat: a number if it has one, else its @name."""
    parameters: dict[str, object] = {
        "chat_id": int(chat) if chat.removeprefix("-").isdecimal() else chat
    }
    if thread is not None and not (thread == GENERAL_TOPIC and chat.startswith("-")):
        parameters["message_thread_id"] = thread
    return parameters


def number(text: str | None) -> int | None:
    """A thread or message id as Telegram wants it; raises DeliveryRefused if it is none."""
    if text is None:
        return None
    if not text.isdecimal():
        raise DeliveryRefused("the address has a thread or message id that Telegram never gave")
    return int(text)

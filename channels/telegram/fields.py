"""The small pieces of an update: numbers, texts, addresses, senders.

Takes plain JSON and trusts none of it: what has another form raises `TypeError`, `KeyError` or
`ValueError`, which `parse.py` turns into an event that is kept raw.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.contract import Address, Sender
from gateway.contract.text import storable

GENERAL_TOPIC: Final = 1
"""Thread id of a forum's General topic, which is addressed by leaving the thread out."""

_MAX_ID: Final = 2**63

Raw = Mapping[str, Any]


def whole_number(value: object) -> int:
    """A whole number that fits into 64 bits: chat and user ids do, and so does every table."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= _MAX_ID:
        raise ValueError("not a number of 64 bits")
    return value


def optional_text(value: object) -> str | None:
    """A text, or None for one that is not there."""
    return None if value is None else storable(value)


def address_of(message: Raw, channel: str) -> Address:
    """Where the reply to a message goes; only a topic is a thread, a chain of replies is not."""
    thread = message["message_thread_id"] if message.get("is_topic_message") else None
    return chat_address(message["chat"], channel, thread=thread)


def chat_address(chat: Raw, channel: str, *, thread: object = None) -> Address:
    """A chat as an address, or one of its topics."""
    number = None if thread is None else whole_number(thread)
    shown = str(number) if number not in {None, GENERAL_TOPIC} else None
    return Address(channel, str(whole_number(chat["id"])), shown)


def sender_of(person: Raw) -> Sender:
    """Who wrote; takes a User, or the Chat of a private talk, which names the same person."""
    names = (person.get("first_name"), person.get("last_name"))
    return Sender(
        platform="telegram",
        external_id=str(whole_number(person["id"])),
        name=" ".join(storable(name) for name in names if name) or None,
        locale=optional_text(person.get("language_code")),
    )

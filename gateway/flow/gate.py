"""What is answered without a model: a person's commands, and people who may not write.

Pure decisions: a message in, an answer or None out. `intake` writes the answer in the same commit
as the message.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.contract import ActionPressed, InboundMessage
from gateway.domain.bots import Bot
from gateway.flow.catalogue import ChannelBinding

HELP = (
    "You can simply write to me. I also understand:\n\n"
    "/new - start a new conversation\n"
    "/stop - stop what I am working on\n"
    "/status - show whether I am working on something\n"
    "/help - show this list"
)
NEW = "All right, we start afresh. {greeting}"
STOPPED = "Stopped."
REFUSED = "Sorry, this is a private bot."
BUSY = "I have a lot to answer right now. Please try again in a minute."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer given without a model, and what it does to the session.

    `is_status` asks the caller to add what the session is doing.
    """

    text: str
    ends_session: bool = False
    cancels: bool = False
    is_status: bool = False


def answer(
    message: InboundMessage | ActionPressed, *, binding: ChannelBinding, bot: Bot | None
) -> Answer | None:
    """The answer to a command or to a stranger; None = the message is for the bot.

    A pressed button says its value. Without a bot only strangers are answered.
    """
    if binding.access == "allow" and message.sender.external_id not in binding.allow:
        return Answer(text=REFUSED)
    if bot is None:
        return None
    match _command(message.text if isinstance(message, InboundMessage) else message.value):
        case "start":
            return Answer(text=bot.greeting)
        case "help":
            return Answer(text=HELP)
        case "new":
            return Answer(text=NEW.format(greeting=bot.greeting), ends_session=True)
        case "stop":
            return Answer(text=STOPPED, cancels=True)
        case "status":
            return Answer(text="", is_status=True)
        case _:
            return None


def status_text(pending: int) -> str:
    """What `/status` says when that many turns are not finished.

    >>> status_text(0), status_text(3)
    ('I am ready. Nothing is waiting.', 'I am working; 3 messages are not answered yet.')
    """
    if pending == 0:
        return "I am ready. Nothing is waiting."
    if pending == 1:
        return "I am working on your last message."
    return f"I am working; {pending} messages are not answered yet."


def _command(text: str) -> str | None:
    """The command a text is, in lower case without the slash; only exact commands count.

    >>> _command(" /New "), _command("/new car?"), _command("/start abc")
    ('new', None, 'start')
    """
    words = text.split()
    if not words or not words[0].startswith("/"):
        return None
    name = words[0][1:].lower()
    return name if len(words) == 1 or name == "start" else None

"""What is answered without a model: a person's commands, link codes, people who may not write.

Pure decisions: a message in, what it is out. The answer is written in the same commit as the
message; whether a person is linked, blocked or has opted out is looked up there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from gateway.contract import ActionPressed, InboundMessage, Sender
from gateway.domain.bots import Bot
from gateway.domain.conversation import Session
from gateway.domain.people import CODE_LENGTH, CODE_LETTERS, WRONG_CODES_AN_HOUR
from gateway.flow.catalogue import ChannelBinding

HELP = (
    "You can simply write to me. I also understand:\n\n"
    "/new - start a new conversation\n"
    "/stop - stop what I am working on\n"
    "/status - show whether I am working on something\n"
    "/help - show this list\n"
    "link CODE - show who you are, with a code that you were given"
)
NEW = "All right, we start afresh. {greeting}"
STOPPED = "Stopped."
REFUSED = "Sorry, this is a private bot."
REFUSED_UNTIL_LINKED = "This is a private bot. Ask its operator for a code, then send: link CODE"
BUSY = "I have a lot to answer right now. Please try again in a minute."
LINKED = "Done: I know now who you are here."
WRONG_CODE = (
    "This code is not right, or not any more: codes work once, for ten minutes. Please ask for a"
    " new one."
)
TOO_MANY_CODES = (
    f"{WRONG_CODES_AN_HOUR} wrong codes within an hour are too many. Please wait an hour, then ask"
    " for a new one."
)
HOW_TO_LINK = "Please send the word link and the code you were given, like this: link CODE"
HIDDEN_CODE = "link ****"
"""What is kept of a message with a code: nobody who reads the talk learns one that still works."""

_LINK = re.compile(r"(/?)link\s+(\S.*)", re.IGNORECASE | re.DOTALL)
_LIKE_A_CODE = re.compile(r"[A-Za-z0-9-]{4,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer given without a model, and what it does to the session.

    `is_status` asks the caller to add what the session is doing, `suggests` to show what the bot
    may be asked.
    """

    text: str
    ends_session: bool = False
    cancels: bool = False
    is_status: bool = False
    suggests: bool = False


def said(message: InboundMessage | ActionPressed) -> str:
    """What a person said; a pressed button says its value."""
    return message.text if isinstance(message, InboundMessage) else message.value


def answer(text: str, bot: Bot | None) -> Answer | None:
    """The answer to a command; None = the text is for the bot."""
    if bot is None:
        return None
    match _command(text):
        case "start":
            return Answer(text=bot.greeting, suggests=True)
        case "help":
            return Answer(text=HELP)
        case "new":
            new = NEW.format(greeting=bot.greeting)
            return Answer(text=new, ends_session=True, cancels=True, suggests=True)
        case "stop":
            return Answer(text=STOPPED, cancels=True)
        case "status":
            return Answer(text="", is_status=True)
        case "link":
            return Answer(text=HOW_TO_LINK)
        case _:
            return None


def link_code(text: str) -> str | None:
    """The link code a person sends, as they wrote it; None = the text is something else.

    Behind `/link` anything is taken for one; behind the bare word only what looks like one, so that
    people may still ask for links.

    >>> link_code("Link bcdf-2345"), link_code("/link what"), link_code("link BCDF 2345")
    ('bcdf-2345', 'what', 'BCDF 2345')
    >>> link_code("link please"), link_code("link me the docs"), link_code("links ABCD-2345")
    (None, None, None)
    """
    found = _LINK.fullmatch(text.strip())
    if found is None:
        return None
    slash, code = found.groups()
    return code if slash or _is_like_code(code) else None


def admits(sender: Sender, binding: ChannelBinding) -> Literal["everybody", "linked", "nobody"]:
    """Whom a channel lets in, the sender given: `nobody` is for a stranger where a list rules."""
    match binding.access:
        case "open":
            return "everybody"
        case "allow":
            return "everybody" if sender.external_id in binding.allow else "nobody"
        case "pairing":
            return "linked"


def refusal(binding: ChannelBinding) -> str:
    """What people are told who may not write."""
    return REFUSED_UNTIL_LINKED if binding.access == "pairing" else REFUSED


def status_text(session: Session | None, bot: Bot | None) -> str:
    """What `/status` says of the session that is current at an address."""
    name = bot.name if bot is not None else "nobody"
    if session is None or session.ended_at is not None:
        return f"I am ready. A new conversation with {name} begins with your next message."
    began = session.created_at.strftime("%Y-%m-%d %H:%M UTC")
    return f"{_doing(session)}\n\nConversation {session.id} with {name}, since {began}."


def _doing(session: Session) -> str:
    if session.holder == "person":
        return "A person of the team answers here."
    if session.holder == "paused":
        return "This conversation is paused: nobody answers for now."
    if session.pending == 0:
        return "I am ready. Nothing is waiting."
    if session.pending == 1:
        return "I am working on your last message."
    return f"I am working; {session.pending} messages are not answered yet."


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


def _is_like_code(text: str) -> bool:
    letters = "".join(text.upper().replace("-", " ").split())
    if len(letters) == CODE_LENGTH and all(letter in CODE_LETTERS for letter in letters):
        return True
    has_digit = any(letter.isdigit() for letter in text)
    return bool(_LIKE_A_CODE.fullmatch(text)) and (has_digit or text.isupper())

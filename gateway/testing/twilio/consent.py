"""Who may be written to: opted out by STOP, and the 24 hours of WhatsApp.

Twilio itself answers the words below on long codes and then refuses messages of that sender to that
person (error 21610); WhatsApp lets free text through only within 24 hours of the person's last
message (63016). Pure of I/O: texts and times come in as arguments.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from gateway.testing.twilio.rules import is_whatsapp

STOP_WORDS: Final = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"}
)
START_WORDS: Final = frozenset({"start", "yes", "unstop"})
HELP_WORDS: Final = frozenset({"help", "info"})
"""Twilio support, "Twilio support for opt-out keywords": exact, in any case."""

WINDOW: Final = timedelta(hours=24)

OptOutType = Literal["STOP", "START", "HELP"]

ANSWERS: Final[dict[OptOutType, str]] = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages from "
    "this number. Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number. Reply HELP "
    "for help. Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}


@dataclass(frozen=True, slots=True)
class AutoReply:
    """What Twilio answered to a person in the account's stead."""

    sender: str
    to: str
    text: str


def opt_out_type(text: str) -> OptOutType | None:
    """What a text means for the consent of its writer, None for an ordinary one.

    >>> opt_out_type(" Stop "), opt_out_type("stop it")
    ('STOP', None)
    """
    word = text.strip().lower()
    if word in STOP_WORDS:
        return "STOP"
    if word in START_WORDS:
        return "START"
    return "HELP" if word in HELP_WORDS else None


class Consent:
    """The state of every pair of a sender of ours and a person."""

    def __init__(self, *, advanced: bool) -> None:
        self.replies: list[AutoReply] = []
        self.is_advanced = advanced
        self._stopped: set[tuple[str, str]] = set()
        self._last_inbound: dict[tuple[str, str], datetime] = {}

    def hear(self, person: str, ours: str, text: str, *, now: datetime) -> OptOutType | None:
        """A person wrote to one of our senders; gives the type when Twilio acted on the text.

        On WhatsApp only Advanced Opt-Out acts. Without it, START from somebody who never stopped
        is not answered.
        """
        self._last_inbound[ours, person] = now
        kind = opt_out_type(text)
        if kind is None or (is_whatsapp(person) and not self.is_advanced):
            return None
        if kind == "START" and not self.is_advanced and not self.has_stopped(person, ours):
            return None
        if kind == "STOP":
            self._stopped.add((ours, person))
        elif kind == "START":
            self._stopped.discard((ours, person))
        self.replies.append(AutoReply(ours, person, ANSWERS[kind]))
        return kind

    def has_stopped(self, person: str, ours: str) -> bool:
        """The person opted out of messages from that sender."""
        return (ours, person) in self._stopped

    def window_is_open(self, person: str, ours: str, *, now: datetime) -> bool:
        """Free text may go to that person by WhatsApp."""
        last = self._last_inbound.get((ours, person))
        return last is not None and now - last < WINDOW

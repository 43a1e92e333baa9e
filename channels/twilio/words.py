"""The words by which a person lets an SMS sender go, takes it back, or asks who it is.

Twilio answers them by itself on long codes and then blocks later sends with 21610 (Twilio support,
"Twilio support for opt-out keywords"; read November 2026): exact, in any case. The same words count
on WhatsApp. With Advanced Opt-Out the form says what a text meant, whatever its words are.
"""

from typing import Final

_STOP: Final = frozenset(
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
)
_START: Final = frozenset({"START", "YES", "UNSTOP"})
_HELP: Final = frozenset({"HELP", "INFO"})

_TYPES: Final = {"STOP": True, "START": False, "HELP": None}


def is_about_consent(text: str, *, opt_out_type: str = "") -> bool:
    """Whether a text is no message to the bot, but about messages as such.

    >>> is_about_consent(" Stop "), is_about_consent("stop it")
    (True, False)
    """
    return bool(opt_out_type) or text.strip().upper() in _STOP | _START | _HELP


def is_opted_out(text: str, *, opt_out_type: str = "") -> bool | None:
    """What such a text means: True = no more messages, False = again, None = a call for help.

    >>> is_opted_out("stop"), is_opted_out("YES"), is_opted_out("info")
    (True, False, None)
    >>> is_opted_out("ARRET", opt_out_type="STOP")
    True
    """
    if opt_out_type:
        return _TYPES.get(opt_out_type.strip().upper())
    word = text.strip().upper()
    if word in _STOP:
        return True
    return False if word in _START else None

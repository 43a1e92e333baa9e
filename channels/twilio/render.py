"""A reply -> parts that Twilio takes. Pure, and never fails.

SMS: plain text `{"text", "segments"}` of at most `part_chars`, in GSM-7 where the settings say so,
at most `max_parts` of them; a longer reply ends with a notice. WhatsApp: `{"text"}` with WhatsApp's
own marks, at most 1,600 characters, as many parts as it takes. Files go as `{"media": [...]}`: with
the last part of an SMS, and each in a part of its own on WhatsApp, which takes one a message.
"""

from collections.abc import Sequence
from typing import Final

from channels.twilio.segments import segment_count, transliterated
from channels.twilio.settings import SmsSettings
from channels.twilio.text import PLAIN, WHATSAPP, Formatted, formatted
from gateway.contract import Attachment, Json, OutboundMessage
from gateway.contract.cut import Range, pieces

MAX_CHARS: Final = 1600
"""Longest body. Twilio, Messages resource, Body; read November 2026. Counted here in UTF-16."""

MAX_MEDIA: Final = 10
"""Twilio, Messages resource, MediaUrl: "up to 10"; on WhatsApp one."""

VARIABLE_CHARS: Final = 900
"""A WhatsApp template holds 1,024 characters, its own words included."""

MORE: Final = " ... (There is more: ask me to go on.)"


def sms_parts(message: OutboundMessage, settings: SmsSettings) -> list[Json]:
    """The parts of an SMS, in order; none for a message without text and files."""
    made = formatted(message.text, style=PLAIN)
    if settings.transliterate:
        made = _in_gsm7(message.text)
    limit = settings.part_chars
    cuts = list(_cuts(made, limit))
    texts = [made.text[start:end] for start, end in cuts[: settings.max_parts]]
    if len(cuts) > settings.max_parts:
        texts[-1] = _shortened(made.text[cuts[settings.max_parts - 1][0] :], limit)
    parts: list[dict[str, object]] = [
        {"text": text, "segments": segment_count(text)} for text in texts
    ]
    for start in range(0, len(message.attachments), MAX_MEDIA):
        media = [_medium(file) for file in message.attachments[start : start + MAX_MEDIA]]
        if start == 0 and parts:
            parts[-1]["media"] = media
        else:
            parts.append({"text": "", "segments": 1, "media": media})
    return list(parts)


def whatsapp_parts(message: OutboundMessage) -> list[Json]:
    """The parts of a WhatsApp message, in order; code that is cut is code in both parts."""
    made = formatted(message.text, style=WHATSAPP)
    room = MAX_CHARS - 2 * len(WHATSAPP.fence)
    parts: list[Json] = [{"text": _fenced(made, cut)} for cut in _cuts(made, room)]
    return parts + [{"text": "", "media": [_medium(file)]} for file in message.attachments]


def one_line(text: str, *, limit: int) -> str:
    r"""A text as a template's variable: no line breaks, no runs of spaces, cut at a word.

    >>> one_line("Hello\n\nold   friend", limit=14)
    'Hello old ...'
    """
    flat = " ".join(text.split())
    if len(flat) <= limit:
        return flat
    start, end = next(pieces(flat, limit - 4))
    return f"{flat[start:end]} ..."


def _in_gsm7(markdown: str) -> Formatted:
    """Transliterated before it is read, so that the stretches are those of the text that leaves."""
    made = formatted(markdown, style=PLAIN)
    plain = transliterated(made.text)
    if len(plain) == len(made.text):
        return Formatted(plain, made.atoms, made.blocks)
    return Formatted(plain)


def _cuts(made: Formatted, limit: int) -> Sequence[Range]:
    return list(pieces(made.text, limit, atoms=made.atoms, blocks=made.blocks))


def _shortened(rest: str, limit: int) -> str:
    """The beginning of what is left, with the notice that there is more."""
    start, end = next(pieces(rest, limit - len(MORE)))
    return rest[start:end] + MORE


def _fenced(made: Formatted, cut: Range) -> str:
    """A piece of the text; marks are put where the cut went through code."""
    start, end = cut
    before = any(first < start < last for first, last in made.fenced)
    after = any(first < end < last for first, last in made.fenced)
    text = made.text[start:end]
    return f"{WHATSAPP.fence * before}{text}{WHATSAPP.fence * after}"


def _medium(file: Attachment) -> dict[str, str | None]:
    return {"ref": file.ref, "name": file.name, "mime": file.mime}

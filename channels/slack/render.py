"""What a reply looks like on Slack: parts of Markdown, buttons under the last, then files.

Pure; never fails. Takes the gateway's message; gives parts as plain JSON, and what of a part goes
into a call. A part that Slack finds too much is cut smaller, and in the end said without any
formatting, so that formatting never costs a message.
"""

from typing import Final

from channels.slack.markdown import cut, harmless, is_empty
from gateway.contract import Attachment, Button, Json, OutboundMessage

PART_CHARACTERS: Final = 11_000
"""Slack takes 12,000 characters of Markdown, and there is an undocumented total of blocks.

docs.slack.dev, chat.postMessage; github.com/slackapi/bolt-js issue 2509; read November 2026.
"""

SMALL_CHARACTERS: Final = 3_000

_LABEL_CHARACTERS: Final = 75
_VALUE_CHARACTERS: Final = 2_000
_BUTTONS_A_ROW: Final = 25
_BUTTON_ROWS: Final = 10
"""Limits of a button and of an actions block. docs.slack.dev, Block Kit; read November 2026."""

_NO_TEXT: Final = "…"
_FALLBACK_CHARACTERS: Final = 30_000
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def parts(message: OutboundMessage) -> list[Json]:
    """The parts of a message, in order; none for a message that says nothing."""
    made: list[dict[str, object]] = [
        {"markdown": text} for text in cut(harmless(message.text), PART_CHARACTERS)
    ]
    buttons = [_button(button) for button in message.buttons if _fits(button)]
    if buttons:
        if not made:
            made.append({"markdown": _NO_TEXT})
        made[-1]["buttons"] = buttons[: _BUTTONS_A_ROW * _BUTTON_ROWS]
    return [*made, *({"file": _file(attachment)} for attachment in message.attachments)]


def beginning(markdown: str) -> str:
    """The text of the first part of a message."""
    return next(cut(harmless(markdown), PART_CHARACTERS), "")


def content(part: Json) -> Json:
    """The arguments of a call that say a part of text."""
    if not part.get("buttons"):
        return {"text": part["plain"]} if "plain" in part else {"markdown_text": part["markdown"]}
    return {
        "text": plain(part["markdown"])[:_FALLBACK_CHARACTERS],
        "blocks": [{"type": "markdown", "text": part["markdown"]}, *rows(part)],
    }


def rows(part: Json) -> list[Json]:
    """The blocks of a part's buttons."""
    buttons = [
        {
            "type": "button",
            "action_id": f"choice_{number}",
            "text": {"type": "plain_text", "text": button["label"], "emoji": True},
            "value": button["value"],
        }
        for number, button in enumerate(part.get("buttons", ()))
    ]
    return [
        {"type": "actions", "elements": buttons[first : first + _BUTTONS_A_ROW]}
        for first in range(0, len(buttons), _BUTTONS_A_ROW)
    ]


def smaller(part: Json) -> list[Json]:
    """The same part in smaller ones, or without any formatting; nothing is smaller than that."""
    if "plain" in part:
        return []
    texts = list(cut(part["markdown"], SMALL_CHARACTERS))
    if len(texts) <= 1:
        return _unformatted(part)
    made: list[dict[str, object]] = [{"markdown": text} for text in texts]
    if part.get("buttons"):
        made[-1]["buttons"] = part["buttons"]
    return list(made)


def plain(markdown: str) -> str:
    """A harmless text as Slack shows it letter by letter: nothing in it is a mark."""
    return markdown.replace("&lt;", "<").translate(_ESCAPES)


def _unformatted(part: Json) -> list[Json]:
    """Plain text; buttons become lines, so that people know what may be answered."""
    labels = [f"• {button['label']}" for button in part.get("buttons", ())]
    text = "\n".join((part["markdown"], *labels))
    return [{"plain": plain(piece)} for piece in cut(text, SMALL_CHARACTERS)]


def _fits(button: Button) -> bool:
    """A value comes back as it is or not at all."""
    return 0 < len(button.value) <= _VALUE_CHARACTERS


def _button(button: Button) -> Json:
    label = button.value if is_empty(button.label) else button.label
    if len(label) > _LABEL_CHARACTERS:
        label = label[: _LABEL_CHARACTERS - 1] + "…"
    return {"label": label, "value": button.value}


def _file(attachment: Attachment) -> Json:
    return {
        "ref": attachment.ref,
        "name": attachment.name or f"{attachment.kind}{_ENDINGS.get(attachment.mime or '', '')}",
        "size_bytes": attachment.size_bytes,
    }


_ENDINGS: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
    "audio/ogg": ".ogg",
    "video/mp4": ".mp4",
}

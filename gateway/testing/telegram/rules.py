"""The limits the Bot API puts on calls, beyond names and JSON types.

`broken_limit(method, params)` gives the description with which the real server refuses the call,
or None. Pure. Sources: Bot API documentation (sendMessage, MessageEntity, InlineKeyboardButton,
setWebhook, "Formatting options"), texts from the server's source (tdlib/telegram-bot-api and
tdlib/td). It knows nothing of chats and messages: those errors are in `telegram_chats.py`.
"""

import re
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Final

from gateway.testing.wire import JsonObject, JsonValue

MAX_TEXT: Final = 4096
"""UTF-16 code units of a message's text (sendMessage, editMessageText, sendMessageDraft)."""

MAX_CAPTION: Final = 1024
MAX_RICH_TEXT: Final = 32_768
MAX_RICH_BLOCKS: Final = 500
MAX_CALLBACK_ANSWER: Final = 200
MAX_CALLBACK_DATA_BYTES: Final = 64
MAX_COMMANDS: Final = 100

ENTITY_TYPES: Final = frozenset(
    {
        *("mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number"),
        *("bold", "italic", "underline", "strikethrough", "spoiler", "blockquote"),
        *("expandable_blockquote", "code", "pre", "text_link", "text_mention"),
        *("custom_emoji", "date_time"),
    }
)

CHAT_ACTIONS: Final = frozenset(
    {
        *("typing", "upload_photo", "record_video", "upload_video", "record_voice"),
        *("upload_voice", "upload_document", "choose_sticker", "find_location"),
        *("record_video_note", "upload_video_note"),
    }
)


def utf16_length(text: str) -> int:
    """Length as Telegram counts it.

    >>> utf16_length("a"), utf16_length("😀")
    (1, 2)
    """
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def broken_limit(method: str, params: JsonObject) -> str | None:
    """The first limit a call breaks, in the server's words; None when it keeps all."""
    check = _BY_METHOD.get(method)
    found = check(params) if check else None
    if found is None and "caption" in params:
        found = _caption_limit(params)
    return found or _keyboard_limit(params.get("reply_markup"))


def _message_limit(params: JsonObject) -> str | None:
    text = params.get("text")
    if not isinstance(text, str) or not text:
        return "message text is empty"
    if not text.strip():
        return "text must be non-empty"
    return _formatted_text_limit(text, params.get("entities"), MAX_TEXT, "message is too long")


def _edit_limit(params: JsonObject) -> str | None:
    return None if params.get("rich_message") else _message_limit(params)


def _draft_limit(params: JsonObject) -> str | None:
    if params.get("draft_id") == 0:
        return "draft_id must be non-zero"
    if isinstance(params.get("chat_id"), int) and params["chat_id"] <= 0:
        return "drafts are available only in private chats"
    text = params.get("text") or ""
    return _formatted_text_limit(text, params.get("entities"), MAX_TEXT, "message is too long")


def _caption_limit(params: JsonObject) -> str | None:
    return _formatted_text_limit(
        str(params["caption"]),
        params.get("caption_entities"),
        MAX_CAPTION,
        "message caption is too long",
    )


def _formatted_text_limit(
    text: str, entities: JsonValue, max_units: int, too_long: str
) -> str | None:
    if utf16_length(text) > max_units:
        return too_long
    if not isinstance(entities, list):
        return None
    return next(_entity_problems(text, entities), None)


def _entity_problems(text: str, entities: list[JsonObject]) -> Iterator[str]:
    """Stricter than the server in one thing: it repairs entities that cross, here they fail."""
    units = text.encode("utf-16-le", "surrogatepass")
    end_of_text = len(units) // 2
    spans = []
    for entity in entities:
        kind, start, length = entity.get("type"), entity.get("offset"), entity.get("length")
        if not isinstance(start, int) or not isinstance(length, int) or kind not in ENTITY_TYPES:
            yield f"can't parse MessageEntity: {kind!r} at {start!r} of length {length!r}"
            continue
        yield from _span_problems(units, start, start + length)
        if kind == "text_link" and not entity.get("url"):
            yield f"can't parse MessageEntity: text_link without url at UTF-16 offset {start}"
        if start + length <= end_of_text:
            spans.append((start, start + length))
    for (start, end), (other_start, other_end) in combinations(sorted(spans), 2):
        if start < other_start < end < other_end:
            yield (
                f"can't parse entities: entity at UTF-16 offset {other_start} crosses the end of "
                f"the entity at UTF-16 offset {start}"
            )


def _span_problems(units: bytes, start: int, end: int) -> Iterator[str]:
    end_of_text = len(units) // 2
    if start < 0 or end <= start:
        yield f"can't parse entities: entity at UTF-16 offset {start} is empty or before the text"
    elif start >= end_of_text:
        yield f"entity begins after the end of the text at UTF-16 offset {start}"
    elif end > end_of_text:
        yield (
            f"entity beginning at UTF-16 offset {start} ends after the end of the text "
            f"at UTF-16 offset {end}"
        )
    elif _is_inside_pair(units, start):
        yield f"entity begins in a middle of a UTF-16 symbol at UTF-16 offset {start}"
    elif _is_inside_pair(units, end):
        yield (
            f"entity beginning at UTF-16 offset {start} ends in a middle of a UTF-16 symbol "
            f"at UTF-16 offset {end}"
        )


def _is_inside_pair(units: bytes, offset: int) -> bool:
    """The unit at `offset` is the second half of a surrogate pair."""
    unit = units[offset * 2 : offset * 2 + 2]
    return len(unit) == 2 and 0xDC <= unit[1] <= 0xDF


def _rich_limit(params: JsonObject) -> str | None:
    """Markup does not count, only what is read; here the tags are left out of the count."""
    rich = params.get("rich_message") or {}
    forms = [rich[form] for form in ("html", "markdown") if rich.get(form)]
    if len(forms) != 1 or not isinstance(forms[0], str):
        return "rich message must have either html or markdown"
    if utf16_length(re.sub(r"<[^>]*>", "", forms[0])) > MAX_RICH_TEXT:
        return "message is too long"
    blocks = re.findall(r"<(?:p|h[1-6]|pre|li|tr|blockquote|table|ul|ol|hr|details)\b", forms[0])
    return "RICH_MESSAGE_BLOCKS_TOO_MUCH" if len(blocks) > MAX_RICH_BLOCKS else None


def _keyboard_limit(markup: JsonValue) -> str | None:
    rows = markup.get("inline_keyboard") if isinstance(markup, dict) else None
    for row in rows or ():
        for button in row if isinstance(row, list) else ():
            data = button.get("callback_data") if isinstance(button, dict) else None
            if isinstance(button, dict) and not str(button.get("text") or "").strip():
                return "inline keyboard button text is empty"
            if isinstance(data, str) and not 1 <= len(data.encode()) <= MAX_CALLBACK_DATA_BYTES:
                return "BUTTON_DATA_INVALID"
    return None


def _callback_limit(params: JsonObject) -> str | None:
    too_long = utf16_length(str(params.get("text") or "")) > MAX_CALLBACK_ANSWER
    return "MESSAGE_TOO_LONG" if too_long else None


def _action_limit(params: JsonObject) -> str | None:
    known = params.get("action") in CHAT_ACTIONS
    return None if known else "wrong parameter action in request"


def _webhook_limit(params: JsonObject) -> str | None:
    url, secret = str(params.get("url") or ""), str(params.get("secret_token") or "")
    if url and not re.match(r"https?://[^/\s]+", url):
        return "invalid webhook URL specified"
    if len(secret) > 256:
        return "secret token is too long"
    if not re.fullmatch(r"[A-Za-z0-9_-]*", secret):
        return "secret token contains unallowed characters"
    return None


def _commands_limit(params: JsonObject) -> str | None:
    commands = params.get("commands")
    if not isinstance(commands, list):
        return "can't parse commands JSON object"
    if len(commands) > MAX_COMMANDS:
        return "BOT_COMMANDS_TOO_MUCH"
    for command in commands:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", str(command.get("command"))):
            return "BOT_COMMAND_INVALID"
        if not 1 <= utf16_length(str(command.get("description", ""))) <= 256:
            return "BOT_COMMAND_DESCRIPTION_INVALID"
    return None


_BY_METHOD: Final[dict[str, Callable[[JsonObject], str | None]]] = {
    "sendMessage": _message_limit,
    "editMessageText": _edit_limit,
    "sendMessageDraft": _draft_limit,
    "sendRichMessage": _rich_limit,
    "sendChatAction": _action_limit,
    "answerCallbackQuery": _callback_limit,
    "setWebhook": _webhook_limit,
    "setMyCommands": _commands_limit,
}

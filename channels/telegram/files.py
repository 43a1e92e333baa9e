"""Fetches a file that a person sent, piece by piece.

Takes an attachment that `media_in.py` made (its `ref` is Telegram's file id) and an open `BotApi`;
gives bytes. The address of a file holds the token: it is made in `bot_api.py`, used once, and no
error or log names it. Errors are `DeliveryLater` (it may be tried again) and `DeliveryRefused` (it
will never be given), with sentences that a person may read.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from channels.telegram.bot_api import BotApi, FileState
from channels.telegram.failures import connect_error
from channels.telegram.transport import NoAnswer, Refused
from gateway.contract import Attachment
from gateway.errors import DeliveryLater, DeliveryRefused

MAX_FILE_BYTES: Final = 20 * 1024 * 1024
"""Bot API, getFile: bots can download files of up to 20 MB in size; read November 2026."""

_ABOUT_THE_FILE: Final = frozenset({400, 403, 404, 410})
"""Statuses that say something of the file, and nothing of the token or of the platform."""

_TOO_LARGE: Final = "Telegram gives bots files of up to 20 MB, and this one is larger"


async def pieces_of(attachment: Attachment, api: BotApi) -> AsyncGenerator[bytes, None]:
    """The bytes; nothing is asked of Telegram before the first piece is wanted."""
    if (attachment.size_bytes or 0) > MAX_FILE_BYTES:
        raise _too_large()
    try:
        file = _checked(await api.file(attachment.ref))
        limit = MAX_FILE_BYTES if file.size_bytes is None else file.size_bytes
        count = 0
        async with aclosing(api.download(file.path)) as pieces:
            async for piece in pieces:
                count += len(piece)
                if count > limit:
                    raise _too_large("the file is larger than Telegram said")
                yield piece
    except (Refused, NoAnswer) as error:
        raise _meaning(error) from error
    if file.size_bytes is not None and count < file.size_bytes:
        raise DeliveryLater("only a part of the file arrived")


def _checked(file: FileState) -> FileState:
    """A file that may be asked for: of a size within the limit, at a path below the bot's own."""
    if (file.size_bytes or 0) > MAX_FILE_BYTES:
        raise _too_large()
    if file.path.startswith("/") or ".." in file.path.split("/"):
        raise DeliveryRefused("the Bot API server keeps its files where only it can read them")
    return file


def _meaning(error: Refused | NoAnswer) -> DeliveryLater | DeliveryRefused:
    """The contract's word for a failed download; nothing was sent, so nothing is doubtful."""
    if isinstance(error, NoAnswer) or error.status not in _ABOUT_THE_FILE:
        return connect_error(error)
    if error.says("too big"):
        return _too_large()
    if error.says("temporarily unavailable"):
        return DeliveryLater("Telegram does not give the file now")
    return DeliveryRefused("Telegram does not have the file any more")


def _too_large(sentence: str = _TOO_LARGE) -> DeliveryRefused:
    return DeliveryRefused(sentence, code="file_too_large")

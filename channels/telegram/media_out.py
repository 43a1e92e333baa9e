"""Files on their way to Telegram: as what they go, how large they may be, how their bytes travel.

Takes attachments and the bytes that the gateway gives for them; gives uploads that are read piece
by piece, and the words that stand in for a file which cannot be sent. Sends nothing itself.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, Literal, TypedDict

from channels.telegram.uploads import Unsendable, Upload
from gateway.contract import Attachment, Json
from gateway.errors import NotFound

MediaKind = Literal["photo", "voice", "audio", "video", "document"]

DOCUMENT_BYTES: Final = 50 * 1000 * 1000
PHOTO_BYTES: Final = 10 * 1000 * 1000
"""Largest files. Bot API, "Sending files": 10 MB for photos, 50 MB for others (November 2026)."""

TOO_LARGE: Final = "it is too large for Telegram"
GONE: Final = "it is not stored any more"
REFUSED: Final = "Telegram did not take it"

_KINDS: Final[dict[str, MediaKind]] = {
    "image/jpeg": "photo",
    "image/png": "photo",
    "image/webp": "photo",
    "audio/ogg": "voice",
    "audio/opus": "voice",
    "audio/mpeg": "audio",
    "audio/mp4": "audio",
    "audio/x-m4a": "audio",
    "video/mp4": "video",
}
"""What Telegram shows as more than a file, by its type. Bot API, sendPhoto ... sendVideo."""

_ENDINGS: Final = {"photo": ".jpg", "voice": ".ogg", "audio": ".mp3", "video": ".mp4"}
_UNSAFE = re.compile(r'[\x00-\x1f\x7f"\\/]+')
_MIME = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+")
_NAME_CHARS: Final = 120


class Media(TypedDict):
    """A file within a part: as what it goes, and where its bytes are."""

    kind: MediaKind
    ref: str
    name: str
    mime: str


def media_of(file: Attachment) -> Media:
    """How a file goes out; a photo that is too large for one goes as it is."""
    mime = (file.mime or "").lower().partition(";")[0].strip()
    kind = _KINDS.get(mime, "document")
    if kind == "photo" and (file.size_bytes or 0) > PHOTO_BYTES:
        kind = "document"
    name = _UNSAFE.sub("_", file.name or "").strip()[-_NAME_CHARS:]
    return Media(
        kind=kind,
        ref=file.ref,
        name=name or f"file{_ENDINGS.get(kind, '')}",
        mime=mime if _MIME.fullmatch(mime) else "application/octet-stream",
    )


def is_too_large(file: Attachment) -> bool:
    """Whether it is known already that Telegram would not take it."""
    return (file.size_bytes or 0) > DOCUMENT_BYTES


def notice_of(media: Json, reason: str) -> str:
    """The words that stand in for a file.

    >>> notice_of({"name": "report.pdf"}, GONE)
    '[The file report.pdf could not be sent: it is not stored any more.]'
    """
    return f"[The file {media['name']} could not be sent: {reason}.]"


async def upload_of(media: Json, file: AsyncGenerator[bytes, None]) -> Upload:
    """The file, ready to be sent; its first piece is read at once.

    Raises `Unsendable` when it is gone, and what the gateway raises.
    """
    try:
        first = await anext(file, b"")
    except NotFound:
        raise Unsendable(GONE) from None
    most = PHOTO_BYTES if media["kind"] == "photo" else DOCUMENT_BYTES
    return Upload(
        field=media["kind"],
        name=media["name"],
        mime=media["mime"],
        pieces=_bounded(first, file, most=most),
    )


async def _bounded(
    first: bytes, rest: AsyncGenerator[bytes, None], *, most: int
) -> AsyncGenerator[bytes, None]:
    """The pieces of a file, as long as they are not too many."""
    size = len(first)
    async with aclosing(rest):
        yield first
        async for piece in rest:
            size += len(piece)
            if size > most:
                raise Unsendable(TOO_LARGE)
            yield piece

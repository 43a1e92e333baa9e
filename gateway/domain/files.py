"""Files: what was sent to us or is to be sent, and what kind of thing its bytes are.

Pure; reads at most the beginning of a file. What a sender says about a file is believed only where
the bytes say nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from gateway.domain.ids import FileId, ProjectId

FileKind = Literal["image", "audio", "video", "document"]

PIECE_BYTES: Final = 262_144
"""A file is stored and read in pieces of this size; only the last may be shorter."""
HEAD_BYTES: Final = 4_096
"""So much of a file's beginning tells what it is."""
PLAIN_TEXT: Final = "text/plain"
UNKNOWN: Final = "application/octet-stream"

# Where each format is described: PNG 5.2, JPEG B.1.1, GIF89a 17, RFC 9649 2.4, RFC 3533 6,
# ID3v2.4 3.1, RFC 9639 (FLAC) 6, Matroska 4 and ISO 32000-1 7.5.2; ISO 14496-12 4.3 is in `_iso`.
_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_AUDIO_BRANDS: Final = frozenset({b"M4A ", b"M4B "})
_TEXTS_BY_OTHER_NAMES: Final = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-yaml"}
)
_BYTE_ORDERS: Final = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_MIME: Final = re.compile(r"[a-z]+/[a-z0-9.+_-]{1,100}")
_CONTROLS: Final = frozenset(range(32)) - {9, 10, 12, 13, 27}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file whose bytes we have. `number` counts the files of a project."""

    id: FileId
    project_id: ProjectId
    number: int
    name: str | None
    mime: str
    kind: FileKind
    size_bytes: int
    sha256: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FileType:
    """What a file is."""

    kind: FileKind
    mime: str

    @property
    def is_text(self) -> bool:
        """Whether its bytes can be read as text."""
        return self.mime.startswith("text/") or self.mime in _TEXTS_BY_OTHER_NAMES


def find_type(head: bytes, *, claimed: str | None = None) -> FileType:
    r"""What a file is, by its first bytes (up to `HEAD_BYTES` of them).

    The claimed type only tells texts from each other, and sound from pictures that move.

    >>> find_type(b"GIF89a...", claimed="text/plain").mime
    'image/gif'
    >>> find_type("Grüße".encode(), claimed="text/csv; charset=utf-8").mime
    'text/csv'
    >>> find_type(b"MZ\x90\x00", claimed="image/png").mime
    'application/octet-stream'
    """
    claim = (claimed or "").partition(";")[0].strip().lower()
    claim = claim if _MIME.fullmatch(claim) else ""
    mime = _by_bytes(head, claim)
    if mime is None and _reads_as_text(head):
        is_text = claim.startswith("text/") or claim in _TEXTS_BY_OTHER_NAMES
        mime = claim if is_text else PLAIN_TEXT
    mime = mime or UNKNOWN
    for kind in ("image", "audio", "video"):
        if mime.startswith(kind):
            return FileType(kind, mime)
    return FileType("document", mime)


def read_text(data: bytes) -> str | None:
    r"""A document's bytes as text, without its byte order mark; None when they are none.

    >>> read_text(b"\xef\xbb\xbfHello"), read_text(b"\xff\x00\x01")
    ('Hello', None)
    """
    encoding = _BYTE_ORDERS.get(data[:2], "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _by_bytes(head: bytes, claim: str) -> str | None:
    for beginning, mime in _BEGINNINGS:
        if head.startswith(beginning):
            is_sound = mime == "video/webm" and claim.startswith("audio/")
            return "audio/webm" if is_sound else mime
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return _iso(head[8:12], claim)
    return "audio/mpeg" if _is_mpeg_sound(head) else None


def _iso(brand: bytes, claim: str) -> str:
    """The family of MP4: sound, or pictures that move."""
    return "audio/mp4" if brand in _AUDIO_BRANDS or claim.startswith("audio/") else "video/mp4"


def _is_mpeg_sound(head: bytes) -> bool:
    """Whether it begins with the header of an MPEG audio frame (ISO 11172-3, 2.4.1.3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or head[:2] in _BYTE_ORDERS:
        return False
    version, layer, bitrate, rate = head[1] & 0x18, head[1] & 0x06, head[2] >> 4, head[2] & 0x0C
    return version != 0x08 and layer != 0 and bitrate not in (0, 15) and rate != 0x0C


def _reads_as_text(head: bytes) -> bool:
    if head[:2] in _BYTE_ORDERS:
        return True
    # The last character may be cut in two.
    for cut in range(4):
        try:
            head[: len(head) - cut].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
        return not _CONTROLS.intersection(head)
    return False

"""What a file is, by its bytes."""

import pytest

from gateway.domain.files import FileType, find_type, read_text

MP3_FRAME = b"\xff\xfb\x90\x64" + b"\x00" * 20
KNOWN = {
    "png": (b"\x89PNG\r\n\x1a\n...", None, "image/png"),
    "jpeg": (b"\xff\xd8\xff\xe0...", "image/png", "image/jpeg"),
    "gif": (b"GIF89a", "text/plain", "image/gif"),
    "webp": (b"RIFF\x10\x00\x00\x00WEBPVP8 ", None, "image/webp"),
    "wav": (b"RIFF\x10\x00\x00\x00WAVEfmt ", None, "audio/wav"),
    "avi": (b"RIFF\x10\x00\x00\x00AVI LIST", "audio/wav", "application/octet-stream"),
    "ogg": (b"OggS\x00\x02", "video/ogg", "audio/ogg"),
    "mp3 with tags": (b"ID3\x04", None, "audio/mpeg"),
    "mp3": (MP3_FRAME, None, "audio/mpeg"),
    "flac": (b"fLaC\x00", None, "audio/flac"),
    "m4a": (b"\x00\x00\x00\x20ftypM4A \x00", None, "audio/mp4"),
    "mp4": (b"\x00\x00\x00\x20ftypisom\x00", None, "video/mp4"),
    "mp4 with sound alone": (b"\x00\x00\x00\x20ftypisom\x00", "audio/mp4", "audio/mp4"),
    "webm": (b"\x1aE\xdf\xa3...", None, "video/webm"),
    "webm with sound alone": (b"\x1aE\xdf\xa3...", "audio/webm", "audio/webm"),
    "pdf": (b"%PDF-1.7", "text/plain", "application/pdf"),
    "zip": (b"PK\x03\x04", "text/plain", "application/zip"),
    "text": (b"Hello\n", None, "text/plain"),
    "table": (b"a;b\n", "text/csv; charset=utf-8", "text/csv"),
    "json": (b"{}", "application/json", "application/json"),
    "text of a strange kind": (b"a", "text/x\r\ny: z", "text/plain"),
    "text called a picture": (b"Hello", "image/png", "text/plain"),
    "text that is cut in a character": ("Grüße €".encode()[:-1], None, "text/plain"),
    "text in UTF-16": ("Hello".encode("utf-16"), None, "text/plain"),
    "other bytes": (b"MZ\x90\x00", "text/plain", "application/octet-stream"),
    "control characters": (b"a\x00b", "text/plain", "application/octet-stream"),
    "no sound": (b"\xff\xfb\xf0\x64" + b"\x00" * 20, None, "application/octet-stream"),
}


@pytest.mark.parametrize("case", KNOWN)
def test_the_bytes_say_what_it_is(case: str) -> None:
    head, claimed, mime = KNOWN[case]

    found = find_type(head, claimed=claimed)

    kind = mime.partition("/")[0]
    assert found.mime == mime
    assert found.kind == (kind if kind in ("image", "audio", "video") else "document")


@pytest.mark.parametrize(
    ("mime", "is_text"),
    [("text/csv", True), ("application/json", True), ("application/pdf", False)],
)
def test_some_documents_are_texts(mime: str, is_text: bool) -> None:
    assert FileType("document", mime).is_text is is_text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Grüße".encode(), "Grüße"),
        ("Grüße".encode("utf-8-sig"), "Grüße"),
        ("Grüße".encode("utf-16"), "Grüße"),
        ("Grüße".encode("latin-1"), None),
        (b"a\x00b", None),
        (b"", ""),
    ],
    ids=["UTF-8", "with a mark", "UTF-16", "Latin-1", "NUL", "nothing"],
)
def test_texts_are_read_in_unicode_alone(data: bytes, text: str | None) -> None:
    assert read_text(data) == text

"""What people are told about files that are not read. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.domain.conversation import FilePart, ImagePart, Message, TextPart
from gateway.domain.files import FileKind

GONE = "it is not there any more."
TOO_LARGE_FOR_PLATFORM = "it is larger than bots may fetch here. Please send a smaller one."
NOT_NOW = "it could not be fetched just now. Please send it again."
NOT_HEARD = "it could not be turned into text just now. Please send it again."
SILENT = "no words could be made out in it."
EMPTY = "it is empty."
NO_TEXT = "it is no text that I can read."
NO_PICTURES = "pictures are not switched on here."
NO_VOICE = "voice notes are not switched on here."

_WHAT: dict[FileKind, str] = {
    "image": "the picture",
    "audio": "the voice note",
    "video": "the video",
    "document": "the file",
}
_MARKUP = str.maketrans(dict.fromkeys('[]<>`*~|\\"“”', " "))
_NAME_CHARS = 80


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a bot can make use of, beside text documents."""

    pictures: bool
    voice: bool

    @property
    def sentence(self) -> str:
        """What may be sent.

        >>> Abilities(pictures=True, voice=True).sentence
        'I can take pictures, voice notes and text documents.'
        """
        more = ["pictures"] * self.pictures + ["voice notes"] * self.voice
        listed = f"{', '.join(more)} and text documents" if more else "text documents"
        return f"I can take {listed}."


def too_large(max_bytes: int) -> str:
    """Why a file of more bytes is not read.

    >>> too_large(10_485_760)
    'it is larger than 10 MB.'
    """
    megabytes = max_bytes / 1_048_576
    size = f"{megabytes:.0f} MB" if megabytes >= 1 else f"{max_bytes / 1024:.0f} kB"
    return f"it is larger than {size}."


def refusal_notice(messages: Iterable[Message]) -> str:
    """What a person is told about the files of these messages; empty when all were read.

    >>> from gateway.domain.ids import MessageId
    >>> part = FilePart("f", "x.zip", state="refused", refusal=EMPTY)
    >>> refusal_notice([Message(id=MessageId("m"), role="user", content=(part,))])
    'I could not read “x.zip”: it is empty.'
    """
    lines = [
        f"I could not read {_called(part)}: {part.refusal}"
        for message in messages
        for part in message.content
        if isinstance(part, FilePart) and part.state == "refused"
    ]
    return "\n".join(dict.fromkeys(lines))


def is_answerable(messages: Sequence[Message]) -> bool:
    """Whether these messages hold anything that a model could answer."""
    return any(
        isinstance(part, ImagePart)
        or (isinstance(part, TextPart) and not part.text.isspace() and part.text != "")
        or (isinstance(part, FilePart) and part.state == "read")
        for message in messages
        for part in message.content
    )


def shown_name(name: str) -> str:
    r"""A file's name as it may stand in our own words: one short line without markup.

    >>> shown_name("a [b](http://x)\n.txt")
    'a b (http://x) .txt'
    """
    plain = "".join(
        " " if unicodedata.category(char)[0] == "C" else char for char in name.translate(_MARKUP)
    )
    joined = " ".join(plain.split())
    return joined if len(joined) <= _NAME_CHARS else f"{joined[: _NAME_CHARS - 1]}…"


def _called(part: FilePart) -> str:
    name = shown_name(part.name or "")
    return f"“{name}”" if name else _WHAT[part.kind]

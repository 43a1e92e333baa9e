"""Files of a turn's messages: fetched, looked at and turned into words before the turn thinks.

Takes a claimed turn and its channel; gives the turn with every file settled: read, or refused with
a reason in words. Bytes go piece by piece into the store. What was settled is written into the
message under the lease at once, so that a later attempt neither fetches nor listens again. A file
that cannot be had just now is asked for again a few times, all within the turn's own limit.

The platform's reference of a file never stands in a log line: it may open the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import takewhile
from time import monotonic
from typing import TypeVar

import structlog

from gateway.agents.journal import TurnLost
from gateway.agents.transcriber import Recording, Transcriber
from gateway.contract import Attachment, Channel
from gateway.domain.bots import Bot
from gateway.domain.conversation import FilePart, Message
from gateway.domain.files import HEAD_BYTES, FileKind, FileType, StoredFile, find_type, read_text
from gateway.domain.ids import FileId
from gateway.domain.turns import ClaimedTurn
from gateway.errors import (
    DeliveryLater,
    DeliveryRefused,
    DeliveryUnknown,
    ModelError,
    NotFound,
    StoreError,
    TooLarge,
)
from gateway.flow import media_words as words
from gateway.flow.file_bytes import FileWriter, file_bytes, whole_file
from gateway.flow.media_words import Abilities
from gateway.store.protocol import Store

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

_UNSETTLED = frozenset({"given", "stored"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLimits:
    """How large files may be, and how long a turn spends on them (seconds)."""

    file_bytes: int = 52_428_800
    picture_bytes: int = 10_485_760
    voice_bytes: int = 26_214_400
    text_bytes: int = 1_048_576
    text_chars: int = 100_000
    fetch_s: float = 60.0
    turn_s: float = 150.0
    retry_delays_s: tuple[float, ...] = (1, 4, 15)

    def of_type(self, file_type: FileType) -> int:
        """How many bytes a file of that type may have."""
        if file_type.is_text:
            return min(self.text_bytes, self.file_bytes)
        own = {"image": self.picture_bytes, "audio": self.voice_bytes}
        return min(own.get(file_type.kind, self.file_bytes), self.file_bytes)


class _Refused(Exception):
    """The file is not read; the message says why, in words for the person."""


class Media:
    """Settles files for one process; `transcriber` tells who listens to voice notes now."""

    def __init__(
        self,
        store: Store,
        *,
        transcriber: Callable[[], Transcriber | None] | None = None,
        limits: MediaLimits | None = None,
    ) -> None:
        self._store = store
        self._transcriber = transcriber
        self._limits = limits or MediaLimits()

    async def settle(
        self, claimed: ClaimedTurn, *, bot: Bot, channel: Channel | None
    ) -> ClaimedTurn:
        """The turn with every file of its own messages settled, in the store too.

        Raises TurnLost when the session is not ours any more, and StoreError.
        """
        if not any(_open_files(claimed)):
            return claimed
        transcriber = self._transcriber() if self._transcriber is not None else None
        work = _Settling(
            self._store, self._limits, claimed, bot=bot, channel=channel, transcriber=transcriber
        )
        history = [await work.message(message) for message in claimed.history]
        return replace(claimed, history=tuple(history))

    async def picture(self, claimed: ClaimedTurn, part: FilePart) -> bytes | None:
        """The bytes of a stored picture; None when it is gone."""
        project_id = claimed.session.project_id
        try:
            return await whole_file(self._store, project_id, FileId(part.ref))
        except NotFound:
            return None


def _open_files(claimed: ClaimedTurn) -> Iterator[FilePart]:
    """Files of the turn's own messages that are not settled."""
    for message in takewhile(lambda one: one.turn_id == claimed.turn.id, claimed.history[::-1]):
        for part in message.content:
            if isinstance(part, FilePart) and part.state in _UNSETTLED:
                yield part


class _Settling:
    """The files of one turn."""

    def __init__(
        self,
        store: Store,
        limits: MediaLimits,
        claimed: ClaimedTurn,
        *,
        bot: Bot,
        channel: Channel | None,
        transcriber: Transcriber | None,
    ) -> None:
        self._store = store
        self._limits = limits
        self._claimed = claimed
        self._project_id = claimed.session.project_id
        self._channel = channel
        self._transcriber = transcriber
        self._abilities = Abilities(pictures=bot.takes_pictures, voice=transcriber is not None)
        self._deadline = asyncio.get_running_loop().time() + limits.turn_s

    async def message(self, message: Message) -> Message:
        """A message with its files settled; one of another turn stays as it is."""
        if message.turn_id != self._claimed.turn.id:
            return message
        for part in message.content:
            if not isinstance(part, FilePart) or part.state not in _UNSETTLED:
                continue
            settled = await self._part(part)
            stored = await self._store.settle_file(
                self._claimed.lease, message.id, earlier=part, settled=settled
            )
            if stored is None:
                raise TurnLost
            message = stored
        return message

    async def _part(self, part: FilePart) -> FilePart:
        """One file, read or refused; one that comes too slowly is refused as well."""
        began = monotonic()
        try:
            async with asyncio.timeout_at(self._deadline):
                settled = await self._read(await self._stored(part))
        except (_Refused, TimeoutError) as error:
            reason = str(error) or words.NOT_NOW
            settled = replace(part, state="refused", refusal=reason)
        log.info(
            "file_settled",
            turn_id=self._claimed.turn.id,
            session_id=self._claimed.session.id,
            outcome=settled.state,
            kind=settled.kind,
            mime=settled.mime if settled.state == "read" else None,
            size_bytes=settled.size_bytes,
            duration_ms=round((monotonic() - began) * 1000, 1),
        )
        return settled

    # ------------------------------------------------------------ the bytes

    async def _stored(self, part: FilePart) -> FilePart:
        """The file as one of ours: fetched now, by an earlier attempt, or uploaded by a caller."""
        if part.state == "stored":
            found = await self._store.file(self._project_id, FileId(part.ref))
            if found is None:
                raise _Refused(words.GONE)
            return _as_stored(part, found)
        self._check_claims(part)
        channel = self._channel
        if channel is None:
            raise _Refused(words.GONE)
        origin, session_id = f"{channel.name} {part.ref}", self._claimed.session.id
        found = await self._store.file_of_origin(self._project_id, origin, session_id=session_id)
        if found is None:
            found = await self._patiently(
                lambda: self._fetch(part, channel, origin=origin), otherwise=words.NOT_NOW
            )
        return _as_stored(part, found)

    def _check_claims(self, part: FilePart) -> None:
        """Refuse without fetching what the platform itself says cannot be used."""
        self._check_kind(part.kind)
        if (part.size_bytes or 0) > self._limits.file_bytes:
            raise _Refused(words.too_large(self._limits.file_bytes))

    def _check_kind(self, kind: FileKind) -> None:
        if kind == "image" and not self._abilities.pictures:
            raise _Refused(words.NO_PICTURES)
        if kind == "audio" and not self._abilities.voice:
            raise _Refused(words.NO_VOICE)
        if kind == "video":
            raise _Refused(self._abilities.sentence)

    def _check_type(self, file_type: FileType, size_bytes: int) -> None:
        """Refuse what is of no use, by its bytes."""
        self._check_kind(file_type.kind)
        if file_type.kind == "document" and not file_type.is_text:
            raise _Refused(self._abilities.sentence)
        if size_bytes > self._limits.of_type(file_type):
            raise _Refused(words.too_large(self._limits.of_type(file_type)))

    async def _fetch(self, part: FilePart, channel: Channel, *, origin: str) -> StoredFile:
        """One try to get the bytes; nothing is left of one that fails."""
        writer = FileWriter(self._store, self._project_id, max_bytes=self._limits.file_bytes)
        is_kept = False
        try:
            async with asyncio.timeout(self._limits.fetch_s):
                file_type = await self._take(part, channel, writer)
                stored = await writer.keep(
                    name=part.name,
                    mime=file_type.mime,
                    kind=file_type.kind,
                    origin=origin,
                    session_id=self._claimed.session.id,
                )
            is_kept = True
            return stored
        except TooLarge:
            raise _Refused(words.too_large(writer.max_bytes)) from None
        except DeliveryRefused as error:
            log.warning("file_refused", channel=channel.name, reason=error.message)
            if error.code == "file_too_large":
                raise _Refused(words.TOO_LARGE_FOR_PLATFORM) from None
            is_known = error.scope == "part"
            raise _Refused(words.GONE if is_known else words.NOT_NOW) from None
        finally:
            if not is_kept:
                await writer.drop()

    async def _take(self, part: FilePart, channel: Channel, writer: FileWriter) -> FileType:
        """Read the bytes into the writer, no further than they are of use; what they are."""
        given = Attachment(part.kind, part.ref, part.name, part.mime, part.size_bytes)
        file_type: FileType | None = None
        async with aclosing(channel.fetch(given)) as pieces:
            async for piece in pieces:
                await writer.add(piece)
                if file_type is None and writer.size_bytes >= HEAD_BYTES:
                    file_type = find_type(writer.head, claimed=part.mime)
                    self._check_type(file_type, writer.size_bytes)
                    writer.max_bytes = self._limits.of_type(file_type)
        if not writer.size_bytes:
            raise _Refused(words.EMPTY)
        if file_type is None:
            file_type = find_type(writer.head, claimed=part.mime)
            self._check_type(file_type, writer.size_bytes)
        return file_type

    async def _patiently(self, work: Callable[[], Awaitable[Result]], *, otherwise: str) -> Result:
        """The result of some work, tried again while its failure may pass."""
        for pause_s in (*self._limits.retry_delays_s, None):
            wished_s: float | None = None
            try:
                return await work()
            except (DeliveryLater, ModelError) as error:
                if isinstance(error, ModelError) and not error.transient:
                    break
                wished_s = error.retry_after_s
                self._tell(error.code, pause_s)
            except (DeliveryUnknown, StoreError) as error:
                self._tell(error.code, pause_s)
            except TimeoutError:
                self._tell("too_slow", pause_s)
            if pause_s is not None:
                await asyncio.sleep(max(pause_s, wished_s or 0))
        raise _Refused(otherwise)

    def _tell(self, code: str, pause_s: float | None) -> None:
        log.warning(
            "file_not_settled_yet",
            turn_id=self._claimed.turn.id,
            code=code,
            is_tried_again=pause_s is not None,
        )

    # ------------------------------------------------------------ what is in them

    async def _read(self, part: FilePart) -> FilePart:
        """A stored file with what can be read in it."""
        file_type = FileType(part.kind, part.mime or "")
        self._check_type(file_type, part.size_bytes or 0)
        if part.kind == "image":
            return replace(part, state="read")
        text = await (self._listen(part) if part.kind == "audio" else self._document(part))
        return replace(part, state="read", text=text)

    async def _document(self, part: FilePart) -> str:
        try:
            data = await whole_file(self._store, self._project_id, FileId(part.ref))
        except NotFound:
            raise _Refused(words.GONE) from None
        text = read_text(data)
        if text is None:
            raise _Refused(words.NO_TEXT)
        if not text.strip():
            raise _Refused(words.EMPTY)
        left = len(text) - self._limits.text_chars
        return text if left <= 0 else f"{text[:-left]}\n[{left} more characters]"

    async def _listen(self, part: FilePart) -> str:
        transcriber = self._transcriber
        if transcriber is None:
            raise _Refused(words.NO_VOICE)

        async def once() -> str:
            recording = Recording(
                mime=part.mime or "",
                size_bytes=part.size_bytes or 0,
                data=file_bytes(self._store, self._project_id, FileId(part.ref)),
            )
            return await transcriber.text(recording)

        try:
            text = await self._patiently(once, otherwise=words.NOT_HEARD)
        except NotFound:
            raise _Refused(words.GONE) from None
        if not text:
            raise _Refused(words.SILENT)
        return text


def _as_stored(part: FilePart, stored: StoredFile) -> FilePart:
    """The part as one of our files: by its bytes, not by what its sender said."""
    return replace(
        part,
        ref=stored.id,
        name=part.name or stored.name,
        mime=stored.mime,
        size_bytes=stored.size_bytes,
        kind=stored.kind,
        state="stored",
    )

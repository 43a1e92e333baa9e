"""Brings files into a channel: asks for an address, posts the bytes there, shares the file.

The bytes are streamed from the gateway's store; nothing is held in memory. Only the last step shows
anything, so what fails before it may be repeated. Raises `SlackError` and delivery errors.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from channels.slack.api import SlackError, SlackSilence
from channels.slack.calls import Calls
from channels.slack.failures import delivery_error
from channels.slack.places import Place
from gateway.contract import ChannelHost, Json
from gateway.errors import (
    DeliveryLater,
    DeliveryRefused,
    DeliveryUnknown,
    GatewayError,
    NotFound,
)


@dataclass(frozen=True, slots=True)
class Uploads:
    """Files out, as docs.slack.dev, "Working with files", has it (read November 2026)."""

    calls: Calls
    host: ChannelHost

    async def share(self, place: Place, file: Json) -> str:
        """Share one file in a place; returns the platform's id of the file."""
        try:
            size = file["size_bytes"] or await self._count(file["ref"])
            if not size:
                raise DeliveryRefused("Slack takes no empty file")
            file_id = await self._upload(place, file, size=size)
        except SlackError as error:
            if not isinstance(delivery_error(error), DeliveryUnknown):
                raise
            raise DeliveryLater(f"the file did not reach Slack: {error}") from error
        except NotFound as error:
            raise DeliveryRefused("the file is not there any more") from error
        params = {
            "files": [{"id": file_id, "title": file["name"]}],
            "channel_id": place.channel,
            "thread_ts": place.thread,
        }
        await self.calls.call(place.team, "files.completeUploadExternal", params)
        return file_id

    async def _upload(self, place: Place, file: Json, *, size: int) -> str:
        params = {"filename": file["name"], "length": size}
        given = await self.calls.call(place.team, "files.getUploadURLExternal", params)
        source = _Source(self.host, file["ref"], size)
        try:
            await self.calls.api.upload(str(given["upload_url"]), source.pieces(), size_bytes=size)
        except SlackSilence:
            # What goes wrong while a body is read reaches us as a broken connection.
            if source.problem is not None:
                raise source.problem from None
            raise
        return str(given["file_id"])

    async def _count(self, ref: str) -> int:
        async with aclosing(self.host.open_file(ref)) as content:
            return sum([len(piece) async for piece in content])


class _Source:
    """The bytes of a file of which Slack was told the number; `problem`: why they ended early."""

    def __init__(self, host: ChannelHost, ref: str, size: int) -> None:
        self.problem: GatewayError | None = None
        self._host = host
        self._ref = ref
        self._size = size

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Every byte, once."""
        sent = 0
        try:
            async with aclosing(self._host.open_file(self._ref)) as content:
                async for piece in content:
                    sent += len(piece)
                    if sent > self._size:
                        break
                    yield piece
            if sent != self._size:
                raise DeliveryRefused("the file has another size than was said of it")
        except GatewayError as error:
            self.problem = error
            raise

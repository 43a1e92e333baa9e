"""What channels must do that pass on files: give the bytes later, in pieces, or say why not."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import aclosing

import pytest

from gateway.contract import Attachment
from gateway.errors import DeliveryLater, DeliveryRefused
from gateway.testing.conformance.abilities import Ability
from gateway.testing.conformance.rig import PlatformFault, Rig
from gateway.testing.conformance.stage import Stage, on_stage
from gateway.testing.conformance.suite import SOON_S, messages

CONTENT = bytes(range(256)) * 4096
"""A megabyte: more than a channel may ask the platform for in one piece."""


class FileRig(Rig):
    """A rig of a platform on which people can send files."""

    @abstractmethod
    async def send_file(self, content: bytes) -> object:
        """A person sends a file in the first chat. Does not wait for the channel."""

    @abstractmethod
    def lose_files(self) -> None:
        """The platform forgets every file it has."""


@pytest.mark.asyncio
class FilesConformance(Ability):
    """For channels whose messages carry attachments."""

    async def test_a_file_is_fetched_by_what_arrived_in_pieces(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            attachment = await arrived(stage)
            sizes = []
            content = b""
            async for piece in stage.channel.fetch(attachment):
                sizes.append(len(piece))
                content += piece
            assert content == CONTENT
            assert len(sizes) > 1

    async def test_a_file_can_be_fetched_again_and_by_another_process(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            attachment = await arrived(stage)
            assert await fetched(stage, attachment) == CONTENT
            another = stage.rig.channel()
            async with another.connected(stage.host):
                twin = Stage(stage.rig, another, stage.host)
                assert await fetched(twin, attachment) == CONTENT

    async def test_no_attachment_holds_a_secret(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            shown = repr(await arrived(stage))
            assert not [secret for secret in stage.rig.secrets if secret in shown]

    async def test_whoever_stops_reading_hinders_nobody(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            attachment = await arrived(stage)
            for _ in range(20):
                async with aclosing(stage.channel.fetch(attachment)) as pieces:
                    assert await anext(pieces)
            assert await fetched(stage, attachment) == CONTENT

    async def test_a_file_that_is_gone_is_refused_for_good(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            attachment = await arrived(stage)
            file_rig(stage).lose_files()
            with pytest.raises(DeliveryRefused):
                await fetched(stage, attachment)

    @pytest.mark.parametrize("trouble", ["throttled", "lost_before", "server_error", "garbage"])
    async def test_a_platform_in_trouble_gives_it_later(self, trouble: PlatformFault) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            attachment = await arrived(stage)
            stage.rig.fail(trouble, every=True)
            with pytest.raises(DeliveryLater) as later:
                await fetched(stage, attachment)
            assert not [secret for secret in stage.rig.secrets if secret in str(later.value)]

    async def test_a_platform_that_cannot_be_reached_gives_it_later(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            attachment = await arrived(stage)
            await stage.rig.vanish()
            with pytest.raises(DeliveryLater):
                await fetched(stage, attachment)


def file_rig(stage: Stage) -> FileRig:
    """The rig as one that plays files."""
    assert isinstance(stage.rig, FileRig)
    return stage.rig


async def arrived(stage: Stage) -> Attachment:
    """Somebody sends a file; the attachment that the gateway is given."""
    await file_rig(stage).send_file(CONTENT)
    await stage.host.until(lambda: bool(messages(stage.host)), timeout_s=SOON_S)
    [attachment] = messages(stage.host)[0].attachments
    return attachment


async def fetched(stage: Stage, attachment: Attachment) -> bytes:
    """The whole file."""
    async with aclosing(stage.channel.fetch(attachment)) as pieces:
        return b"".join([piece async for piece in pieces])

"""What channels must do that can more: be asked, show growing messages, hear by webhook."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from gateway.contract import Json, LiveOutput, OutboundMessage, SentQuery
from gateway.errors import GatewayError
from gateway.testing.conformance.rig import GrowingRig, PlatformFault, Rig, WebhookRig
from gateway.testing.conformance.stage import Stage, on_stage
from gateway.testing.conformance.suite import BUSY, SOON_S, messages
from gateway.testing.conformance.texts import words_of


class Ability:
    """A further set of tests over the same rig."""

    @abstractmethod
    def open_rig(self, public_url: str) -> AbstractAsyncContextManager[Rig]:
        """The rig of the channel's main class."""


@pytest.mark.asyncio
class AskableConformance(Ability):
    """For channels with `can_ask`: what was sent can be found, what was not cannot."""

    async def test_it_says_that_it_can_be_asked(self) -> None:
        async with on_stage(self.open_rig) as stage:
            assert stage.channel.capabilities.can_ask

    async def test_a_part_whose_answer_was_lost_is_found(self) -> None:
        async with on_stage(self.open_rig) as stage:
            query = await lose(stage, "lost_after")
            found = await stage.channel.find_sent(query)
            assert found is not None
            assert found.provider_id

    async def test_a_part_that_never_arrived_is_not_found(self) -> None:
        async with on_stage(self.open_rig) as stage:
            await stage.say("word7")
            query = await lose(stage, "lost_before")
            assert await stage.channel.find_sent(query) is None

    async def test_a_question_without_an_answer_is_an_error(self) -> None:
        async with on_stage(self.open_rig) as stage:
            query = await lose(stage, "lost_after")
            stage.rig.fail("server_error", every=True)
            with pytest.raises(GatewayError):
                await stage.channel.find_sent(query)


@pytest.mark.asyncio
class GrowingConformance(Ability):
    """For channels whose live output is a message that grows and becomes the reply."""

    async def test_a_message_grows_and_becomes_the_reply(self) -> None:
        async with on_stage(self.open_rig) as stage:
            async with growing(stage) as output:
                reference = await output.open("dlv_1")
                await output.show("word0")
                assert words_of(stage.rig.sent()) == ["word0"]
                await output.show("word0 word1")
            part = part_of(stage, "word0 word1 word2")
            await stage.channel.deliver(
                stage.rig.address(), part, delivery_id="dlv_1", open_ref=reference
            )
            assert [words_of([text]) for text in stage.rig.sent()] == [["word0", "word1", "word2"]]
            assert isinstance(stage.rig, GrowingRig)
            assert stage.rig.open_messages() == 0

    async def test_finishing_twice_changes_nothing(self) -> None:
        async with on_stage(self.open_rig) as stage:
            async with growing(stage) as output:
                reference = await output.open("dlv_1")
            for _ in range(2):
                await stage.channel.deliver(
                    stage.rig.address(),
                    part_of(stage, "word0"),
                    delivery_id="dlv_1",
                    open_ref=reference,
                )
            assert words_of(stage.rig.sent()) == ["word0"]

    async def test_an_empty_part_removes_the_message(self) -> None:
        async with on_stage(self.open_rig) as stage:
            async with growing(stage) as output:
                reference = await output.open("dlv_1")
            await stage.channel.deliver(
                stage.rig.address(), {}, delivery_id="dlv_1", open_ref=reference
            )
            assert list(stage.rig.sent()) == []

    async def test_another_process_goes_on_in_the_same_message(self) -> None:
        async with on_stage(self.open_rig) as stage:
            async with growing(stage) as output:
                reference = await output.open("dlv_1")
                await output.show("word0")
            async with growing(stage, reference) as output:
                await output.show("word0 word1")
            assert words_of(stage.rig.sent()) == ["word0", "word1"]

    async def test_a_message_that_is_gone_is_posted_anew(self) -> None:
        async with on_stage(self.open_rig) as stage:
            async with growing(stage) as output:
                reference = await output.open("dlv_1")
            await stage.channel.deliver(
                stage.rig.address(), {}, delivery_id="dlv_1", open_ref=reference
            )
            await stage.channel.deliver(
                stage.rig.address(),
                part_of(stage, "word0"),
                delivery_id="dlv_1",
                open_ref=reference,
            )
            assert words_of(stage.rig.sent()) == ["word0"]


@pytest.mark.asyncio
class WebhookConformance(Ability):
    """For channels that hear by webhook: who may call it, and what it answers."""

    async def test_a_forged_call_is_refused_and_says_nothing(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            assert isinstance(stage.rig, WebhookRig)
            assert await stage.rig.forge("Hello") in (401, 403)
            assert stage.host.inbound == []

    async def test_nonsense_is_no_error_of_ours(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            assert isinstance(stage.rig, WebhookRig)
            assert await stage.rig.babble() < 500
            assert messages(stage.host) == []

    async def test_two_copies_at_once_are_the_same_event(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            event = await stage.rig.write("Hello")
            await stage.rig.write_again(event)
            await stage.host.until(lambda: len(messages(stage.host)) >= 2, timeout_s=SOON_S)
            assert len({one.external_id for one in messages(stage.host)}) == 1

    async def test_a_webhook_that_cannot_store_asks_for_another_try(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            stage.host.failures += [BUSY]
            event = await stage.rig.write("Hello")
            await stage.rig.wait_until_acknowledged(event, timeout_s=3 * SOON_S)
            assert stage.host.refused == 1
            assert [one.text for one in messages(stage.host)] == ["Hello"]


async def lose(stage: Stage, fault: PlatformFault) -> SentQuery:
    """Send a part whose answer never comes; the question that is then to be asked."""
    since = datetime.now(UTC) - timedelta(seconds=1)
    part = part_of(stage, "word0")
    stage.rig.fail(fault)
    with pytest.raises(GatewayError):
        await stage.channel.deliver(stage.rig.address(), part, delivery_id="dlv_lost")
    return SentQuery(delivery_id="dlv_lost", address=stage.rig.address(), part=part, since=since)


def part_of(stage: Stage, text: str) -> Json:
    """The one part of a short text."""
    [part] = stage.channel.render(OutboundMessage(address=stage.rig.address(), text=text))
    return part


@asynccontextmanager
async def growing(stage: Stage, reference: str | None = None) -> AsyncIterator[LiveOutput]:
    """Live output of kind `message`, new or going on."""
    async with stage.channel.live(stage.rig.address(), None, open_ref=reference) as output:
        assert output is not None
        assert output.kind == "message"
        yield output

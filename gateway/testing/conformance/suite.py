"""What every channel must do: hear without losing, send one part once, and tell errors apart.

Pytest collects the tests in the classes of channel authors that derive from this one. The order of
the chapters is that of `gateway/contract/`.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import ClassVar

import pytest
from structlog.testing import capture_logs

from gateway.contract import Inbound, InboundMessage, OutboundMessage
from gateway.errors import (
    DeliveryLater,
    DeliveryRefused,
    DeliveryUnknown,
    GatewayError,
    Unavailable,
)
from gateway.testing.conformance.rig import ALL_FAULTS, PlatformFault, Rig
from gateway.testing.conformance.stage import Stage, on_stage, served
from gateway.testing.conformance.texts import AWKWARD, EMPTY, words_of
from gateway.testing.host import FakeHost

SOON_S = 10.0
SILENCE_S = 1.0
AT_ONCE = 8
BUSY = Unavailable("the store is away", retry_after_s=1)


@pytest.mark.asyncio
class ChannelConformance(ABC):
    """The tests of every channel; `faults` are those that the platform can have."""

    faults: ClassVar[Sequence[PlatformFault]] = ALL_FAULTS

    @abstractmethod
    def open_rig(self, public_url: str) -> AbstractAsyncContextManager[Rig]:
        """A rig for one test; webhooks of its channel will be found under `public_url`."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run tests once for each fault of the platform, or for each awkward text."""
        if "fault" in metafunc.fixturenames:
            metafunc.parametrize("fault", self.faults)
        if "text" in metafunc.fixturenames:
            metafunc.parametrize("text", AWKWARD.values(), ids=AWKWARD)

    # ---------------------------------------------------------------- what it is

    async def test_its_capabilities_are_known_before_it_is_connected(self) -> None:
        async with served(self.open_rig) as (_rig, channel):
            assert channel.capabilities.live in ("none", "signal", "preview", "message")

    async def test_its_routes_lie_below_its_own_path(self) -> None:
        async with served(self.open_rig) as (rig, channel):
            own = f"/hooks/{rig.name}"
            paths = [route.path for route in channel.routes()]
            assert [p for p in paths if p != own and not p.startswith(own + "/")] == []

    async def test_a_refused_credential_refuses_the_account(self) -> None:
        async with self.open_rig("http://127.0.0.1:1") as rig:
            with pytest.raises(DeliveryRefused) as caught:
                async with rig.stranger().connected(FakeHost()):
                    pass
            assert caught.value.scope == "account"
            assert_hidden(rig, str(caught.value))

    async def test_a_platform_that_is_away_is_tried_again_later(self) -> None:
        async with served(self.open_rig) as (rig, channel):
            await rig.vanish()
            with pytest.raises(DeliveryLater) as caught:
                async with channel.connected(FakeHost()):
                    pass
            assert_hidden(rig, str(caught.value))

    async def test_it_leaves_nothing_running_behind(self) -> None:
        before = asyncio.all_tasks()
        async with on_stage(self.open_rig, hears=True) as stage:
            await stage.say("word0")
        assert asyncio.all_tasks() == before

    async def test_it_can_be_connected_again(self) -> None:
        async with served(self.open_rig) as (rig, channel):
            for _ in range(2):
                async with channel.connected(FakeHost()):
                    [part] = channel.render(OutboundMessage(address=rig.address(), text="word0"))
                    await channel.deliver(rig.address(), part, delivery_id="dlv_1")
            assert words_of(rig.sent()) == ["word0", "word0"]

    # ---------------------------------------------------------------- hearing

    async def test_a_message_is_heard_with_who_and_where(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            event = await stage.rig.write("Hello")
            await stage.rig.wait_until_acknowledged(event, timeout_s=SOON_S)
            [heard] = messages(stage.host)
            assert heard.text == "Hello"
            assert heard.address == stage.rig.address()
            assert heard.sender.external_id
            assert heard.account
            assert heard.external_id
            assert len(heard.digest) == 32
            assert heard.received_at.tzinfo is not None

    async def test_messages_of_different_chats_and_people_differ(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            for chat in (1, 2):
                event = await stage.rig.write("Hello", chat=chat)
                await stage.rig.wait_until_acknowledged(event, timeout_s=SOON_S)
            first, second = messages(stage.host)
            assert first.external_id != second.external_id
            assert (first.address, second.address) == (stage.rig.address(1), stage.rig.address(2))

    async def test_a_message_that_comes_again_is_the_same_event(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            event = await stage.rig.write("Hello")
            await stage.rig.wait_until_acknowledged(event, timeout_s=SOON_S)
            await stage.rig.write_again(event)
            event = await stage.rig.write("And more")
            await stage.rig.wait_until_acknowledged(event, timeout_s=SOON_S)
            heard = [one for one in messages(stage.host) if one.text == "Hello"]
            assert len({(one.account, one.external_id, one.digest) for one in heard}) == 1

    async def test_what_is_not_stored_is_not_acknowledged_and_comes_again(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            stage.host.failures += [BUSY]
            event = await stage.rig.write("Hello")
            await stage.host.until(lambda: stage.host.refused == 1, timeout_s=SOON_S)
            assert not stage.rig.is_acknowledged(event)
            await stage.rig.wait_until_acknowledged(event, timeout_s=3 * SOON_S)
            assert [one.text for one in messages(stage.host)] == ["Hello"]

    async def test_no_position_passes_an_event_that_is_not_stored(self) -> None:
        async with on_stage(self.open_rig, hears=True, host=PartlyAway()) as stage:
            stage.host.failures += [BUSY]
            event = await stage.rig.write("Hello")
            await stage.rig.wait_until_acknowledged(event, timeout_s=3 * SOON_S)
            assert [one.text for one in messages(stage.host)] == ["Hello"]

    async def test_a_store_that_is_away_is_no_reason_to_stop_hearing(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            stage.host.failures += [BUSY, BUSY]
            events = [await stage.rig.write(f"number {number}") for number in range(3)]
            for event in events:
                await stage.rig.wait_until_acknowledged(event, timeout_s=3 * SOON_S)
            heard = {one.text for one in messages(stage.host)}
            assert heard == {f"number {number}" for number in range(3)}

    async def test_messages_of_a_chat_tell_their_order(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            for number in range(3):
                event = await stage.rig.write(f"number {number}")
                await stage.rig.wait_until_acknowledged(event, timeout_s=SOON_S)
            heard = messages(stage.host)
            assert [one.text for one in heard] == ["number 0", "number 1", "number 2"]
            orders = [one.source_order for one in heard if one.source_order is not None]
            assert orders in ([], sorted(set(orders)))

    async def test_bots_are_not_answered(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            event = await stage.rig.write_as_bot("Buy now")
            await stage.rig.wait_until_acknowledged(event, timeout_s=SOON_S)
            assert messages(stage.host) == []

    async def test_an_unknown_event_is_acknowledged_and_counted_and_says_nothing(self) -> None:
        async with on_stage(self.open_rig, hears=True) as stage:
            event = await stage.rig.happen()
            await stage.rig.wait_until_acknowledged(event, timeout_s=SOON_S)
            assert messages(stage.host) == []
            assert stage.host.ignored_kinds

    # ---------------------------------------------------------------- rendering

    async def test_parts_are_plain_json_and_always_the_same(self, text: str) -> None:
        async with served(self.open_rig) as (rig, channel):
            message = OutboundMessage(address=rig.address(), text=text)
            parts = [dict(part) for part in channel.render(message)]
            assert parts == [dict(part) for part in channel.render(message)]
            assert json.loads(json.dumps(parts)) == parts
            assert parts

    @pytest.mark.parametrize("nothing", EMPTY, ids=repr)
    async def test_a_text_that_says_nothing_is_no_error(self, nothing: str) -> None:
        async with served(self.open_rig) as (rig, channel):
            channel.render(OutboundMessage(address=rig.address(), text=nothing))

    # ---------------------------------------------------------------- sending

    async def test_every_word_arrives_in_order_and_nothing_is_refused(self, text: str) -> None:
        async with on_stage(self.open_rig) as stage:
            await stage.say(text)
            assert words_of(["".join(stage.rig.sent())]) == words_of([text])
            assert list(stage.rig.complaints()) == []

    async def test_a_receipt_names_the_message(self) -> None:
        async with on_stage(self.open_rig) as stage:
            [first] = await stage.say("word0")
            [second] = await stage.say("word1")
            assert first.provider_id != second.provider_id or first.provider_id is None

    async def test_chats_can_be_sent_to_at_the_same_time(self) -> None:
        async with on_stage(self.open_rig) as stage:
            chats = range(1, AT_ONCE + 1)
            await asyncio.gather(*(stage.say(f"word{chat}", chat=chat) for chat in chats))
            for chat in chats:
                assert words_of(stage.rig.sent(chat)) == [f"word{chat}"]

    async def test_without_a_connection_a_part_goes_later(self) -> None:
        async with served(self.open_rig) as (rig, channel):
            [part] = channel.render(OutboundMessage(address=rig.address(), text="word0"))
            with pytest.raises(DeliveryLater):
                await channel.deliver(rig.address(), part, delivery_id="dlv_1")

    async def test_a_platform_that_cannot_be_reached_took_nothing(self) -> None:
        async with on_stage(self.open_rig) as stage:
            await stage.rig.vanish()
            with pytest.raises(DeliveryLater) as caught:
                await stage.say("word0")
            assert caught.value.retry_after_s is None

    async def test_a_failed_send_means_what_it_says(self, fault: PlatformFault) -> None:
        async with on_stage(self.open_rig) as stage:
            assert meaning(await failure(stage, fault)) == MEANINGS[fault]

    async def test_one_part_is_one_try(self, fault: PlatformFault) -> None:
        async with on_stage(self.open_rig) as stage:
            await failure(stage, fault)
            taken = words_of(stage.rig.sent())
            assert taken == ["word0"] if fault == "lost_after" else len(taken) <= 1

    async def test_it_sends_again_after_a_failure(self, fault: PlatformFault) -> None:
        async with on_stage(self.open_rig) as stage:
            await failure(stage, fault)
            await stage.say("word1", chat=2)
            assert words_of(stage.rig.sent(2)) == ["word1"]

    async def test_no_secret_is_told(self, fault: PlatformFault) -> None:
        with capture_logs() as logs:
            async with on_stage(self.open_rig, hears=True) as stage:
                error = await failure(stage, fault)
        assert_hidden(stage.rig, repr(logs), repr(stage.host.states), repr(error))

    # ---------------------------------------------------------------- live output

    async def test_live_output_comes_and_goes(self) -> None:
        async with on_stage(self.open_rig) as stage:
            kind = stage.channel.capabilities.live
            async with stage.channel.live(stage.rig.address(), None) as output:
                assert (output is None) == (kind == "none")
                if output is not None:
                    await output.working(None)
            assert list(stage.rig.complaints()) == []

    async def test_leaving_live_output_never_fails(self) -> None:
        async with (
            on_stage(self.open_rig) as stage,
            stage.channel.live(stage.rig.address(), None) as output,
        ):
            stage.rig.fail("server_error", every=True)
            if output is not None:
                with suppress(GatewayError):
                    await output.working("thinking")
                with suppress(GatewayError):
                    await output.show("word0")

    async def test_a_probe_tells_a_sentence(self) -> None:
        async with on_stage(self.open_rig) as stage:
            sentence = await stage.channel.probe()
            assert sentence
            assert_hidden(stage.rig, sentence)


class PartlyAway(FakeHost):
    """A gateway whose `failures` hit only what holds events: positions alone can be stored."""

    async def accept(
        self, batch: Sequence[Inbound], *, cursor: tuple[str, str] | None = None
    ) -> None:
        """Keep it, or fail when there is an event in it."""
        planned = self.failures
        self.failures = planned if batch else []
        try:
            await super().accept(batch, cursor=cursor)
        finally:
            self.failures = planned


MEANINGS = {
    "throttled": "later, when the platform says",
    "refused_part": "refused: part",
    "refused_address": "refused: address",
    "refused_account": "refused: account",
    "lost_before": "unknown",
    "lost_after": "unknown",
    "server_error": "unknown",
    "garbage": "unknown",
    "silence": "unknown",
}


def meaning(error: BaseException) -> str:
    """An error of `deliver` in words."""
    match error:
        case DeliveryLater():
            return "later" if error.retry_after_s is None else "later, when the platform says"
        case DeliveryRefused():
            return f"refused: {error.scope}"
        case DeliveryUnknown():
            return "unknown"
        case _:
            return f"{type(error).__name__}: {error}"


def messages(host: FakeHost) -> list[InboundMessage]:
    """What people wrote, as the gateway heard it."""
    return [one for one in host.inbound if isinstance(one, InboundMessage)]


def assert_hidden(rig: Rig, *told: str) -> None:
    """Fail when a secret stands in what was told."""
    for secret in rig.secrets:
        assert all(secret not in text for text in told), "a secret was told"


async def failure(stage: Stage, fault: PlatformFault) -> GatewayError:
    """Say something that fails like this, and give the error; silence is ended by the outbox."""
    stage.rig.fail(fault)
    try:
        async with asyncio.timeout(SILENCE_S if fault == "silence" else SOON_S):
            await stage.say("word0")
    except GatewayError as error:
        return error
    except TimeoutError:
        return DeliveryUnknown("there was no answer in time")
    raise AssertionError(f"the channel did not notice: {fault}")

"""Two workers, one turn, a real platform: whoever lost the lease shows nothing there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from gateway.contract import Channel
from gateway.domain.ids import MessageId
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import ClaimedTurn, TextDelta, TurnOutcome
from gateway.flow.growing import GrowingMessage
from gateway.flow.live_reply import LiveReply
from gateway.flow.replies import render_replies, reply_message
from gateway.store.protocol.inbox import ClaimTerms
from gateway.testing.host import FakeHost
from gateway.testing.plain.channel import PlainChannel, PlainSettings
from gateway.testing.plain.server import PlainServer
from tests.flow.house import CHAT, House, house, queued

ID = MessageId("msg_1")


@asynccontextmanager
async def plain(platform: PlainServer) -> AsyncIterator[Channel]:
    """An adapter of the plain platform, connected."""
    settings = PlainSettings(token=SecretStr(platform.token), api_url=platform.api_url)
    channel = PlainChannel("fake", settings, public_url="http://localhost")
    async with channel.connected(FakeHost()):
        yield channel


async def claimed_by(home: House, owner: str) -> ClaimedTurn:
    """The one turn there is, claimed; whoever had it before is fenced."""
    home.clock.ahead_s += 31
    [claimed] = await home.store.claim(ClaimTerms(owner=owner, limit=1))
    return claimed


def showing(home: House, claimed: ClaimedTurn, channel: Channel) -> LiveReply:
    """Live output of one worker, which does not suspect that it may be fenced."""
    growing = GrowingMessage(home.store, claimed, channel)
    return LiveReply(channel, CHAT, growing=growing)


async def test_a_fenced_worker_opens_nothing_and_the_other_one_does(data: Path) -> None:
    async with PlainServer() as platform, plain(platform) as channel, house(data) as home:
        await home.store.accept([queued("hi")], limits=QueueLimits())
        first = await claimed_by(home, "one")
        second = await claimed_by(home, "two")

        async with showing(home, first, channel) as live:
            live.notice(TextDelta(ID, "Goo"))
            async with showing(home, second, channel) as other:
                other.notice(TextDelta(ID, "Good "))
                await home.until(lambda: texts(platform) == ["Good "])

        assert texts(platform) == ["Good "]
        assert len(platform.calls_of("send")) == 1


async def test_what_the_first_had_opened_is_finished_by_the_second(data: Path) -> None:
    async with PlainServer() as platform, plain(platform) as channel, house(data) as home:
        await home.store.accept([queued("hi")], limits=QueueLimits())
        first = await claimed_by(home, "one")
        async with showing(home, first, channel) as live:
            live.notice(TextDelta(ID, "Goo"))
            await home.until(lambda: texts(platform) == ["Goo"])
        second = await claimed_by(home, "two")
        late = await home.store.commit_turn(first.lease, first.turn.id, said("Too late.", channel))
        done = await home.store.commit_turn(second.lease, second.turn.id, said("Good.", channel))
        [part] = await home.store.begin_sends(owner="two", limit=9, channels=("fake",))
        receipt = await channel.deliver(
            part.address, part.part, delivery_id=part.id, open_ref=part.open_ref
        )

    assert (late.is_committed, done.is_committed) == (False, True)
    assert receipt.provider_id == part.open_ref
    assert texts(platform) == ["Good."]


def said(text: str, channel: Channel) -> TurnOutcome:
    """A finished turn with one reply."""
    message = reply_message(text)
    deliveries = render_replies([message], channel=channel, address=CHAT)
    return TurnOutcome(state="done", messages=(message,), deliveries=deliveries)


def texts(platform: PlainServer) -> list[str]:
    """What stands in the chat."""
    return [message.text for message in platform.shown()]

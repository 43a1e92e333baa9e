"""An outage is made good: what was said meanwhile is looked up, and known if it comes again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import pytest

from channels.slack import catching_up
from channels.slack.api import SlackApi
from channels.slack.catching_up import CatchingUp
from channels.slack.door import Door
from channels.slack.installations import Installations
from channels.slack.recent import CURSOR, PLACES, Recent, Spot
from gateway.contract import Address, InboundMessage, Sender
from gateway.errors import Unavailable
from gateway.testing.host import FakeHost
from gateway.testing.misbehaviour import Drop, HtmlError
from gateway.testing.slack.endpoint import SlackServer
from gateway.testing.slack.faults import SlackError, rate_limited
from tests.channels.slack.running import QUICK_RETRY, hooked, settings_for, socketed
from tests.channels.slack.test_parse import READING, message, read

BOT = "<@U0FAKEBOT>"


def lost(slack: SlackServer) -> None:
    """Whatever is said from now on, Slack gives up telling."""
    slack._deliveries.carry = slack._deliveries.give_up


@asynccontextmanager
async def outage() -> AsyncIterator[tuple[SlackServer, FakeHost]]:
    """A workspace where somebody wrote "before" to us, and what is written now we do not hear."""
    host = FakeHost()
    async with SlackServer(retry=QUICK_RETRY) as slack:
        async with hooked(nullcontext(slack), host=host) as running:
            slack.post_message("D1", "U1", "before")
            await running.heard()
        lost(slack)
        yield slack, host


def texts(host: FakeHost) -> list[str]:
    """What was heard after the outage, each message once."""
    first = {one.second_id: one.text for one in reversed(host.inbound)}
    return [text for _, text in sorted(first.items(), key=lambda item: item[0].split(":")[1])]


@pytest.mark.parametrize("receive", [hooked, socketed], ids=["http", "socket"])
async def test_what_was_said_while_we_were_away_is_heard_in_order(receive):
    host = FakeHost()
    async with SlackServer(retry=QUICK_RETRY) as slack:
        async with receive(nullcontext(slack), host=host) as running:
            slack.post_message("D1", "U1", "before")
            thread = slack.mention("C1", "U1", "a question")[0]["event"]["ts"]
            await running.heard()
        lost(slack)
        for number in range(3):
            slack.post_message("D1", "U1", f"direct {number}")
            slack.post_message("C1", "U2", f"in the thread {number}", thread_ts=thread)
        slack.post_message("C1", "U2", f"{BOT} another question")
        slack.post_message("C1", "U2", "not for the bot")

        async with receive(nullcontext(slack), host=host):
            await host.until(lambda: len(texts(host)) == 9)

        assert texts(host) == [
            *("before", "a question"),
            *("direct 0", "in the thread 0", "direct 1", "in the thread 1"),
            *("direct 2", "in the thread 2", "another question"),
        ]
        assert slack.problems == []


async def test_a_message_from_history_is_the_same_as_its_event():
    async with outage() as (slack, host):
        event = slack.post_file("D1", "U1", "look at &lt;this&gt;")
        async with hooked(nullcontext(slack), host=host):
            await host.until(lambda: len(host.inbound) == 2)
            await slack.post_to_webhook(event)

            [_, found, told] = host.inbound
            assert found.second_id == told.second_id
            for name in ("address", "sender", "text", "attachments", "source_order", "is_direct"):
                assert getattr(found, name) == getattr(told, name)


async def test_bots_and_ourselves_are_not_heard_from_history_either():
    async with outage() as (slack, host):
        slack.post_bot_message("D1", "buy now")
        slack.post_message("D1", slack.workspace.bot_user, "an answer")
        slack.post_message("D1", "U1", "joined", extra={"subtype": "channel_join"})
        slack.post_message("D1", "U1", "after")

        async with hooked(nullcontext(slack), host=host):
            await host.until(lambda: len(host.inbound) == 2)

        assert host.texts == ["before", "after"]


async def test_a_thread_that_began_in_a_direct_message_meanwhile_is_read_too():
    async with outage() as (slack, host):
        root = slack.open_assistant("U1")["event"]["assistant_thread"]["thread_ts"]
        slack.post_message("D1", "U1", "in the pane", thread_ts=root)

        async with hooked(nullcontext(slack), host=host) as running:
            await host.until(lambda: len(host.inbound) == 2)

            assert host.inbound[1].address == running.address("D1", root)


async def test_more_than_a_page_is_read_to_its_beginning():
    async with outage() as (slack, host):
        said = [f"number {number}" for number in range(450)]
        for text in said:
            slack.post_message("D1", "U1", text)

        async with hooked(nullcontext(slack), host=host):
            await host.until(lambda: len(host.inbound) == 451)

        assert texts(host) == ["before", *said]
        assert len(slack.calls_of("conversations.history")) == 3


@pytest.mark.parametrize("error", ["missing_scope", "channel_not_found", "not_in_channel"])
async def test_a_place_that_cannot_be_read_does_not_hold_up_the_others(error):
    host = FakeHost()
    async with SlackServer(retry=QUICK_RETRY) as slack:
        async with hooked(nullcontext(slack), host=host) as running:
            slack.post_message("D1", "U1", "one")
            slack.post_message("D2", "U2", "two")
            await running.heard()
        lost(slack)
        slack.post_message("D2", "U2", "three")
        slack.fail(
            "conversations.history", SlackError(error), when=lambda call: call.channel == "D1"
        )

        async with hooked(nullcontext(slack), host=host):
            await host.until(lambda: "three" in host.texts)


async def test_of_a_place_where_too_much_was_said_the_newest_is_read(monkeypatch):
    monkeypatch.setattr(catching_up, "PAGE", 10)
    monkeypatch.setattr(catching_up, "MAX_PAGES", 2)
    async with outage() as (slack, host):
        for number in range(30):
            slack.post_message("D1", "U1", f"number {number}")

        async with hooked(nullcontext(slack), host=host):
            await host.until(lambda: len(host.inbound) == 21)

        assert host.texts[1:] == [f"number {number}" for number in range(10, 30)]


async def test_slack_is_not_asked_again_before_it_wants_to_be():
    async with outage() as (slack, host):
        slack.post_message("D1", "U1", "after")
        slack.fail("conversations.history", rate_limited(1))

        async with hooked(nullcontext(slack), host=host):
            await host.until(lambda: "after" in host.texts)

        assert slack.early == []


async def test_a_store_that_is_away_gets_what_was_found_later():
    async with outage() as (slack, host):
        slack.post_message("D1", "U1", "after")
        host.failures = [Unavailable("busy", retry_after_s=1)]

        async with hooked(nullcontext(slack), host=host):
            await host.until(lambda: "after" in host.texts)


async def test_a_slack_that_is_away_is_asked_for_the_past_when_it_is_back():
    async with outage() as (slack, host):
        slack.post_message("D1", "U1", "after")
        slack.fail("conversations.history", Drop(), HtmlError(502), times=1)
        settings = settings_for(slack)

        async with SlackApi(slack.api_url) as api:
            held = Installations(host, api, settings=settings)
            await held.open()
            door = Door(
                host, api, channel="slack", settings=settings, installations=held, recent=Recent()
            )
            past = CatchingUp(host, api, installations=held, door=door, again_s=0.01)
            await past.open()
            await past.run()

        assert "after" in host.texts
        assert len(slack.calls_of("conversations.history")) >= 2


async def test_a_short_cut_of_the_socket_asks_for_no_history():
    async with socketed() as running:
        running.slack.post_message("D1", "U1", "before")
        await running.heard()
        running.slack.sockets.cut()
        await running.slack.wait_for_sockets()

        assert running.slack.calls_of("conversations.history") == []


@pytest.mark.proves("C-1")
async def test_c_1_a_new_place_is_remembered_in_the_commit_of_its_first_message():
    async with hooked() as running:
        running.slack.post_message("D1", "U1", "hello")
        await running.heard()

        known = Recent()
        known.read(running.host.cursors[CURSOR])
        [(spot, newest)] = known.spots
        assert spot == Spot(running.slack.workspace.id, "D1", "im")
        assert newest == running.host.inbound[0].message_ref


def test_what_is_remembered_has_a_bound_and_the_quiet_ones_go_first():
    recent = Recent()
    for number in range(PLACES + 5):
        heard = read(message(channel=f"D{number}", ts=f"15314206{number:02}.000200"), READING)
        recent.note(heard, kind="im")

    assert len(recent.spots) == PLACES
    assert recent.spots[0][0].chat == "D5"


def test_threads_of_others_are_not_remembered():
    recent = Recent()

    recent.note(read(message("hm", "channel", thread_ts="1.000001"), READING), kind="channel")

    assert recent.spots == []


def test_what_was_heard_since_counts_more_than_what_was_kept():
    kept, recent = Recent(), Recent()
    kept.note(read(message(ts="1.000001"), READING), kind="im")
    recent.note(read(message(ts="2.000001"), READING), kind="im")
    recent.read(kept.text())

    assert [newest for _, newest in recent.spots] == ["2.000001"]


@pytest.mark.parametrize("text", [None, "", "{", "[1]", '[["T", "C", "im", null, "soon"]]', "7"])
def test_what_was_kept_and_cannot_be_read_is_as_good_as_nothing(text):
    recent = Recent()
    recent.read(text)

    assert recent.spots == []


def test_what_has_no_ts_is_not_remembered():
    heard = read(message(), READING)
    command = InboundMessage(
        account="T1",
        external_id="command:1",
        digest=heard.digest,
        received_at=heard.received_at,
        address=Address("slack", "T1:D1"),
        sender=Sender("slack", "T1:U1"),
        text="/new",
    )

    assert not Recent().note(command, kind=None)

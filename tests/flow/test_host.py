"""One channel's trouble is its own: the others and the daemon go on."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.contract import HealthState
from gateway.errors import DeliveryLater, DeliveryRefused
from gateway.flow.host import ChannelPort, Supervisor
from gateway.flow.sealed_notes import NoteSeal
from gateway.testing.channels import FakeChannel
from tests.flow.house import House, house, said


@asynccontextmanager
async def supervised(home: House) -> AsyncIterator[None]:
    """The supervisor at work."""
    async with home.at_work(home.supervisor.run):
        yield


async def until_state(home: House, state: HealthState) -> str | None:
    """Wait for a state of health; its reason."""
    await home.until(lambda: home.port.status.state == state)
    return home.port.status.reason


async def test_a_channel_sends_first_and_hears_when_it_may(data: Path) -> None:
    async with house(data) as home:
        home.connected.clear()
        async with supervised(home):
            await until_state(home, "connected")
            assert home.connected == {"fake"}
            assert not home.channel.is_receiving
            home.supervisor.hear()
            await home.channel.wait_for(lambda one: one.is_receiving)
        assert home.connected == set()
        assert not home.channel.is_connected


async def test_a_platform_that_is_away_is_tried_again(data: Path) -> None:
    async with house(data) as home:
        home.connected.clear()
        home.channel.fail_to_connect(*[DeliveryLater("no route")] * 3)
        async with supervised(home):
            assert await until_state(home, "degraded") == "no route"
            await until_state(home, "connected")

    assert home.channel.connections == 4


async def test_a_refused_credential_stops_one_channel_and_nothing_else(data: Path) -> None:
    async with house(data) as home:
        other = FakeChannel("other")
        home.channel.fail_to_connect(DeliveryRefused("the token is wrong", scope="account"))
        port = ChannelPort(
            other,
            store=home.store,
            intake=home.intake,
            connected=home.connected,
            seal=NoteSeal(b"a secret"),
        )
        supervisor = Supervisor([home.port, port])
        async with home.at_work(supervisor.run):
            assert await until_state(home, "stopped") == "the token is wrong"
            await home.until(lambda: port.status.state == "connected")

        assert {name: one.state for name, one in supervisor.health().items()} == {
            "fake": "stopped",
            "other": "connected",
        }
    assert home.channel.connections == 1


async def test_an_unexpected_error_of_an_adapter_is_logged_and_tried_again(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data) as home:
        home.channel.fail_to_connect(ValueError("bot123:SECRET"))
        async with supervised(home):
            reason = await until_state(home, "degraded")
            await until_state(home, "connected")

    assert reason == "an unexpected error; see the log"
    assert any(entry["event"] == "channel_broke" for entry in logs)


async def hearing(home: House, connections: int) -> None:
    """Wait until the channel hears on its so-manieth connection."""
    await home.channel.wait_for(lambda one: one.is_receiving and one.connections == connections)


async def test_a_channel_that_breaks_while_hearing_is_connected_again(data: Path) -> None:
    async with house(data) as home, supervised(home):
        home.supervisor.hear()
        for connections in (1, 2, 3):
            await hearing(home, connections)
            home.channel.break_off(DeliveryLater("connection reset"))
        await hearing(home, 4)

        assert home.connected == {"fake"}


async def test_a_connection_that_held_long_is_no_failure_when_it_breaks(data: Path) -> None:
    async with house(data) as home:
        supervisor = Supervisor([home.port], retry_delays_s=(0.01, 60), stable_s=0)
        async with home.at_work(supervisor.run):
            supervisor.hear()
            for connections in (1, 2, 3):
                await hearing(home, connections)
                home.channel.break_off(DeliveryLater("connection reset"))
            await hearing(home, 4)


async def test_a_stop_that_meets_an_error_of_a_channel_is_a_stop(data: Path) -> None:
    async with house(data) as home, asyncio.timeout(5):
        async with supervised(home):
            home.supervisor.hear()
            await hearing(home, 1)
            home.channel.break_off(DeliveryLater("connection reset"))

        assert home.channel.connections == 1


async def test_a_stop_makes_channels_deaf_and_leaves_them_connected(data: Path) -> None:
    async with house(data) as home, supervised(home):
        home.supervisor.hear()
        await home.channel.wait_for(lambda one: one.is_receiving)

        await home.supervisor.deafen(within_s=5)

        assert not home.channel.is_receiving
        assert home.channel.is_connected


async def test_a_channel_that_comes_back_after_the_stop_hears_nothing(data: Path) -> None:
    async with house(data) as home:
        home.channel.fail_to_connect(DeliveryLater("no route"))
        async with supervised(home):
            await until_state(home, "degraded")
            home.supervisor.hear()
            await home.supervisor.deafen(within_s=5)
            await until_state(home, "connected")
            await asyncio.sleep(0)

            assert not home.channel.is_receiving


async def test_a_channel_that_does_not_stop_hearing_does_not_hold_up_the_stop(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data) as home:
        stubborn = Stubborn()
        port = ChannelPort(
            stubborn,
            store=home.store,
            intake=home.intake,
            connected=set(),
            seal=NoteSeal(b"a secret"),
        )
        supervisor = Supervisor([port, home.port])
        async with home.at_work(supervisor.run):
            supervisor.hear()
            await stubborn.wait_for(lambda one: one.is_receiving)
            await home.channel.wait_for(lambda one: one.is_receiving)
            await supervisor.deafen(within_s=0.05)
            stubborn.may_stop.set()
            await stubborn.wait_for(lambda one: not one.is_receiving)

    [left] = [entry for entry in logs if entry["event"] == "channels_still_receiving"]
    assert left["channels"] == ["stubborn"]


class Stubborn(FakeChannel):
    """Stops hearing only when `may_stop` is set."""

    def __init__(self) -> None:
        super().__init__("stubborn")
        self.may_stop = asyncio.Event()

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        async with super().receiving():
            try:
                yield
            finally:
                await self.may_stop.wait()


async def test_health_is_told_when_it_changes_and_only_then(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data) as home:
        home.port.health("connected")
        since = home.port.status.since
        home.port.health("connected")
        home.port.health("degraded", reason="slow")

        assert home.port.status.since > since
    told = [entry["state"] for entry in logs if entry["event"] == "channel_state_changed"]
    assert told == ["connected", "degraded"]


async def test_a_port_tells_when_it_heard_something(data: Path) -> None:
    async with house(data) as home:
        home.port.health("connected")
        await home.port.accept([said("hi")])

        assert home.port.status.last_in_at is not None
        assert home.port.status.state == "connected"


async def test_notes_of_a_channel_last(data: Path) -> None:
    async with house(data) as home:
        assert await home.port.note("install") is None
        await home.port.keep_note("install", {"team": "T1"})
        assert await home.port.note("install") == {"team": "T1"}
        await home.port.keep_note("install", None)
        assert await home.port.note("install") is None
        assert await home.port.cursor("offset") is None


async def test_what_a_platform_sends_in_vain_is_counted_by_its_own_word(data: Path) -> None:
    async with house(data) as home:
        for kind in ("poll", "story", "poll"):
            home.port.ignored(kind)
        for number in range(200):
            home.port.ignored(f"kind {number}")
        counted = home.supervisor.health()["fake"].ignored_events

    assert (counted["poll"], counted["story"]) == (2, 1)
    assert sum(counted.values()) == 203
    assert len(counted) <= 101

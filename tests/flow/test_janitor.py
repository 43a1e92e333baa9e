"""What dead processes left is taken over, and what is over its time is cleared away."""

from collections.abc import MutableMapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.conversation import ToolCall
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import TurnOptions
from gateway.errors import StoreError
from gateway.flow.janitor import free_bytes
from gateway.store.protocol.coordination import Instance
from gateway.store.protocol.inbox import ClaimTerms
from gateway.testing.channels import HeldSend
from gateway.testing.models import asks
from tests.flow.house import House, house, queued

DEAD = ClaimTerms(owner="ins_dead", limit=1)


async def leave_behind(home: House) -> None:
    """A process that died in a turn of one chat, and while sending to another."""
    home.channel.fail(HeldSend())
    async with home.at_work():
        await home.say("sent?", chat="2")
        await home.channel.wait_for_tries(1)
    await home.intake.accept([queued("hi")])
    assert len(await home.store.claim(DEAD)) == 1


async def test_a_start_takes_over_turns_and_sends_of_dead_processes(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data, "Hello.") as home:
        await leave_behind(home)
        after = house(data, "Hello.", store=home.store, clock=home.clock)
        async with after as next_home:
            await next_home.janitor.recover()
            async with next_home.at_work(
                next_home.worker.run, next_home.outbox.run, next_home.doubt.run
            ):
                await next_home.channel.wait_for_sent(2)
                await next_home.settled()
            await next_home.sound()

    [told] = [entry for entry in logs if entry["event"] == "abandoned_work_taken_over"]
    assert (told["sessions"], told["deliveries"]) == (1, 1)


async def test_a_start_after_a_clean_stop_takes_over_nothing(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data) as home:
        await home.janitor.recover()

        assert [instance.id for instance in await home.store.instances()] == [home.owner]
    assert "abandoned_work_taken_over" not in [entry["event"] for entry in logs]


async def test_one_of_several_processes_leaves_the_living_alone(data: Path) -> None:
    async with house(data, is_alone=False) as home:
        now = datetime.now(UTC)
        living = Instance(
            id="ins_dead", host="h", version="1", started_at=now, heartbeat_at=now, snapshot={}
        )
        await home.store.accept([queued("hi")], limits=QueueLimits())
        assert len(await home.store.claim(DEAD)) == 1
        await home.store.beat(living)
        await home.janitor.recover()
        assert await home.store.claim(replace(DEAD, owner=home.owner)) == []

        await home.store.beat(replace(living, heartbeat_at=now - timedelta(seconds=31)))
        async with home.at_work(home.janitor.run, home.worker.run):
            await home.until(lambda: home.model.requests)


async def test_a_process_says_that_it_lives_and_that_it_stops(data: Path) -> None:
    async with house(data) as home:
        async with home.at_work(home.janitor.run):
            await home.until(lambda: home.janitor.last_beat_at > 0)
            assert [one.id for one in await home.store.instances()] == [home.owner]
        await home.janitor.leave()

        assert await home.store.instances() == []


async def test_a_store_that_is_away_does_not_stop_the_upkeep_or_the_stop(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data) as home:
        home.flaky.away["beat"] = 2
        async with home.at_work(home.janitor.run):
            await home.until(lambda: home.janitor.last_beat_at > 0)
        home.flaky.away["leave"] = 1
        await home.janitor.leave()

    events = [entry["event"] for entry in logs]
    assert events.count("upkeep_failed") == 2
    assert events.count("leave_not_noted") == 1


async def test_a_store_that_no_waiting_brings_back_ends_the_upkeep(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data) as home:
        (data / "gateway.db").unlink()

        with pytest.raises(ExceptionGroup) as ended:
            await home.janitor.run()

    assert ended.value.split(StoreError)[1] is None
    assert "store_lost" in [entry["event"] for entry in logs]


async def test_a_start_on_a_store_that_is_away_fails(data: Path) -> None:
    async with house(data) as home:
        home.flaky.away["beat"] = 1
        with pytest.raises(StoreError):
            await home.janitor.recover()


async def test_a_nearly_full_disk_closes_the_door_until_there_is_room(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    room = [10_000]
    async with (
        house(data, data_path=data, room=lambda _: room[0]) as home,
        home.at_work(home.janitor.run),
    ):
        room[0] = 999
        await home.until(lambda: home.admission.refusal)
        room[0] = 1000
        await home.until(lambda: home.admission.refusal is None)

    changes = [entry["is_open"] for entry in logs if entry["event"] == "admission_changed"]
    assert changes == [False, True]


async def test_a_start_on_a_full_disk_accepts_nothing(data: Path) -> None:
    async with house(data, data_path=data, room=lambda _: 0) as home:
        await home.janitor.recover()

        assert home.admission.refusal == "The disk is nearly full."


async def test_a_data_directory_that_is_gone_closes_the_door(data: Path) -> None:
    async with house(data, data_path=data / "gone") as home:
        await home.janitor.recover()

        assert home.admission.refusal == "The data directory cannot be used."


async def test_there_is_room_where_the_tests_run(data: Path) -> None:
    async with house(data, data_path=data) as home:
        await home.janitor.recover()

        assert home.admission.refusal is None
        assert free_bytes(data) > 1000


async def test_nothing_is_watched_where_nothing_is_to_be_kept_free(data: Path) -> None:
    async with house(data, data_path=None, room=lambda _: 0) as home:
        await home.janitor.recover()

        assert home.admission.refusal is None


async def test_a_question_nobody_answers_is_declined_after_an_hour(data: Path) -> None:
    call = ToolCall("c1", "lookup", "{}")
    async with house(data, asks(call), "Never mind.") as home:
        home.clock.ahead_s -= 3601
        async with home.at_work(home.worker.run):
            await home.api("hi", options=TurnOptions(client_tools=True))
            await home.until(lambda: _is_waiting(home))
        home.clock.ahead_s = 0
        async with home.at_work(home.janitor.run):
            await home.until(lambda: home.flaky.calls["expire_waiting"] > 1)
        [turn] = await home.turns()

    assert turn.state == "queued"


async def test_a_question_is_left_open_for_an_hour(data: Path) -> None:
    call = ToolCall("c1", "lookup", "{}")
    async with house(data, asks(call)) as home:
        async with home.at_work(home.worker.run):
            await home.api("hi", options=TurnOptions(client_tools=True))
            await home.until(lambda: _is_waiting(home))
        async with home.at_work(home.janitor.run):
            await home.until(lambda: home.flaky.calls["expire_waiting"] > 1)

        assert await _is_waiting(home)


async def _is_waiting(home: House) -> bool:
    return [turn.state for turn in await home.turns()] == ["waiting"]


async def test_what_is_over_its_time_is_removed(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data) as home:
        home.clock.ahead_s -= 40 * 86_400
        await home.say("hi")
        home.clock.ahead_s = 0
        async with home.at_work(home.janitor.run):
            await home.until(lambda: any(one["event"] == "retention_swept" for one in logs))

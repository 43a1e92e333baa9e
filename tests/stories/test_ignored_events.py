"""What a platform sends and nobody needs is acknowledged, and counted where operators look."""

import asyncio
from pathlib import Path

import pytest

from gateway.testing.process import GatewayProcess
from gateway.testing.scene import PATIENCE_S, calling
from tests.stories.test_telegram import connected


@pytest.mark.proves("C-9")
async def test_c_9_events_that_mean_nothing_are_counted_in_status_and_for_callers(
    tmp_path: Path,
) -> None:
    async with (
        connected(tmp_path) as (gateway, telegram),
        calling(gateway, await gateway.create_key()) as caller,
    ):
        update = {"update_id": 900, "reaction_of_tomorrow": {"new": True}}
        [attempt] = await telegram.post_to_webhook(update)
        channel = await caller.get("/v1/channels/tg")
        told = await in_snapshot(gateway)

    assert attempt.status == 200
    assert sum(channel["ignored_events"].values()) == 1
    assert told == channel["ignored_events"]


async def in_snapshot(gateway: GatewayProcess) -> object:
    """What `status --json` tells, as soon as the process has written it down."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            [process] = (await gateway.run_json("status", "--json"))["instances"]
            told = process["snapshot"]["channels"]["tg"]["ignored_events"]
            if told:
                return told

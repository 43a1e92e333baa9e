"""`bot-gateway turns stuck`: what it says, and how it ends."""

import asyncio

import pytest

from gateway.store.open import open_store
from tests.cli.conftest import CommandLine
from tests.store.builders import accept_one, api_turn


def queue_turn(command: CommandLine) -> str:
    """A turn that nobody works on."""

    async def queue() -> str:
        async with open_store(f"sqlite:{command.folder}/data/gateway.db", lock=False) as store:
            return str((await accept_one(store, api_turn())).turn_id)

    return asyncio.run(queue())


def test_nothing_stuck_is_fine(command: CommandLine) -> None:
    queue_turn(command)

    result = command("turns", "stuck")

    assert (result.code, result.out.split(":")[0]) == (0, "Nothing is stuck")


def test_a_stuck_turn_is_a_failure_with_its_reason(command: CommandLine) -> None:
    turn_id = queue_turn(command)

    shown = command("turns", "stuck", "--older-than", "0s")
    listed = command("turns", "stuck", "--older-than", "0s", "--json")

    assert (shown.code, listed.code) == (1, 1)
    assert turn_id in shown.out
    assert "no gateway runs on this store" in shown.out
    assert [(each["id"], each["state"]) for each in listed.json] == [(turn_id, "queued")]


@pytest.mark.parametrize("text", ["soon", "5", "-1m"])
def test_a_duration_that_is_none_is_wrong_usage(command: CommandLine, text: str) -> None:
    assert command("turns", "stuck", f"--older-than={text}").code == 2

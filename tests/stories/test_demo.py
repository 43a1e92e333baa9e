"""The demo of config.example.toml, as it is: a question goes from the hub to a tool and back."""

import re
from pathlib import Path

from gateway.testing.scene import serving

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def example() -> str:
    """The file without the two sections that every gateway of a test has of its own."""
    text = EXAMPLE.read_text()
    for section in ("server", "store"):
        text = re.sub(rf"^\[{section}\]\n.*?(?=^\[)", "", text, flags=re.DOTALL | re.MULTILINE)
    return text


async def test_the_balance_is_told_by_a_specialist_and_the_talk_survives_a_kill(
    tmp_path: Path,
) -> None:
    on_demo = {"BOT_GATEWAY_MODEL": "demo"}
    async with serving(tmp_path, example(), project="demo", environment=on_demo) as (
        gateway,
        caller,
    ):
        turn = await caller.say("What is my outstanding balance?")

        assert turn["status"] == "completed"
        assert "$1,284.50" in turn["output_text"]

        story = await gateway.run_json("explain", turn["id"])
        steps = story["turns"][0]["steps"]
        told = [(step["kind"], step["title"]) for step in steps if step["kind"] != "model"]
        assert [kind for kind, _ in told] == [
            *("received", "claimed", "handoff", "tool", "message", "message", "ended")
        ]
        assert told[2][1] == "Credit Card Hub handed over to Outstanding Payments"
        assert told[3][1] == "Outstanding Payments called get_outstanding_balance"
        assert "$1,284.50" in steps[-2]["text"]

        await gateway.kill()
        await gateway.start()
        again = await caller.say("And the card ending in 7730?", session=turn["session_id"])

        assert "$212.07" in again["output_text"]
        assert await caller.texts(turn["session_id"], role="user") == [
            "What is my outstanding balance?",
            "And the card ending in 7730?",
        ]

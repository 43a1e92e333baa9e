"""Tools that the caller runs: the turn waits for them, also over a kill."""

from pathlib import Path

from gateway.testing.scene import serving
from tests.stories.checks import findings

CONFIG = """
[models.main]
provider = "scripted"

[[models.main.rules]]
tool = "find_order"
reply = "Your order is {tool.state}."

[[models.main.rules]]
text = "order"
call = "find_order"
arguments = { number = "{text}" }

[[models.main.rules]]
reply = "Heard: {text}"

[tools.find_order]
kind = "client"
parameters = { type = "object", properties = { number = { type = "string" } } }

[[bots]]
slug = "support"

[[bots.agents]]
name = "Desk"
model = "main"
tools = ["find_order"]
"""


async def test_a_turn_waits_for_the_callers_tool_over_a_kill(tmp_path: Path) -> None:
    async with serving(tmp_path, CONFIG) as (gateway, caller):
        turn = await caller.say("order 17", client_tools=True)
        assert turn["status"] == "requires_action"
        [call] = turn["tool_calls"]
        assert (call["name"], call["arguments"]) == ("find_order", '{"number": "order 17"}')

        await gateway.kill()
        await gateway.start()
        results = [{"call_id": call["call_id"], "content": '{"state": "on its way"}'}]
        path = f"/v1/turns/{turn['id']}/tool_results"
        answer = await caller.call("POST", path, {"results": results})
        again = await caller.call("POST", path, {"results": results})

        assert answer.json["output_text"] == "Your order is on its way."
        assert again.status == 409
        assert await caller.texts(turn["session_id"], role="assistant") == [
            "Your order is on its way."
        ]
        assert await findings(gateway) == []


async def test_a_caller_who_runs_no_tools_is_offered_none(tmp_path: Path) -> None:
    async with serving(tmp_path, CONFIG) as (_, caller):
        turn = await caller.say("order 17")

        assert turn["output_text"] == "Heard: order 17"

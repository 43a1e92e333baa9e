"""The scripted model: which rule holds, what it does, and that rules cannot run in circles."""

import asyncio
import json

import pytest

from gateway.agents.model import ModelDone, ModelEvent, ModelRequest, ModelText
from gateway.agents.scripted_model import DEFAULT_REPLY, ScriptedModel
from gateway.agents.tools.table import ToolTable
from gateway.domain.conversation import Usage
from gateway.domain.scripted import ScriptedRule as Rule
from gateway.domain.turns import HandedOff
from gateway.errors import ModelError
from tests.agents.builders import RecordingTool, agent, bot, told, tool, user

OFFERED = ("get_balance", "transfer_to_billing")


def request(text: str = "Hello", *extra, offered=OFFERED, **settings) -> ModelRequest:
    messages = [{"role": "system", "content": "x"}, {"role": "user", "content": text}, *extra]
    tools = [{"type": "function", "function": {"name": name}} for name in offered]
    return ModelRequest(**{"agent": "Desk", "messages": messages, "tools": tools, **settings})


def called(name: str, result: str, call_id: str = "c1") -> tuple[dict, dict]:
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}
    return (
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": result},
    )


async def play(rules: list[Rule], asked: ModelRequest | None = None) -> list[ModelEvent]:
    return [event async for event in ScriptedModel(rules).stream(asked or request())]


async def say(rules: list[Rule], asked: ModelRequest | None = None) -> str:
    events = await play(rules, asked)
    return "".join(event.text for event in events if isinstance(event, ModelText))


async def test_the_first_rule_that_holds_wins():
    rules = [Rule(text="bye", reply="1"), Rule(text="hel+o", reply="2"), Rule(reply="3")]

    assert await say(rules) == "2"


async def test_a_rule_may_be_for_one_agent():
    rules = [Rule(agent="Billing", reply="1"), Rule(agent="Desk", reply="2")]

    assert await say(rules) == "2"


async def test_without_a_rule_there_is_a_sentence():
    assert await say([]) == DEFAULT_REPLY


async def test_a_reply_comes_word_by_word_without_losing_white_space():
    events = await play([Rule(reply="One  two\nthree.")])

    assert events[:-1] == [ModelText("One  "), ModelText("two\n"), ModelText("three.")]


async def test_a_reply_nobody_listens_to_comes_in_one_piece():
    events = await play([Rule(reply="One two.", chunk_delay_s=60)], request(wants_stream=False))

    assert events[0] == ModelText("One two.")


async def test_it_ends_with_estimated_usage():
    done = (await play([Rule(reply="x" * 40)], request("y" * 39)))[-1]

    assert done == ModelDone((), Usage(10, 10), "scripted")


async def test_a_rule_for_a_tool_holds_straight_after_its_result():
    rules = [Rule(tool="get_balance", reply="After."), Rule(reply="Else.")]

    assert await say(rules, request("Hello", *called("get_balance", "5"))) == "After."
    assert await say(rules, request("Hello", *called("other", "5"))) == DEFAULT_REPLY
    assert await say(rules) == "Else."


async def test_it_holds_for_each_of_several_results():
    both = [*called("get_balance", "5"), *called("other", "6", "c2")]
    one_message = [
        {**both[0], "tool_calls": both[0]["tool_calls"] + both[2]["tool_calls"]},
        both[1],
        both[3],
    ]
    rules = [Rule(tool="get_balance", reply="Balance {tool.x}.")]

    assert await say(rules, request("Hi", *one_message)) == "Balance {tool.x}."


async def test_the_result_of_a_hand_off_is_no_tool_result():
    handed = called("transfer_to_billing", '{"assistant": "Billing"}')

    assert await say([Rule(text="hello", reply="Hi.")], request("Hello", *handed)) == "Hi."


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("You said {text}.", "You said order 7, blue."),
        ("Order {1} in {2}.", "Order 7 in blue."),
        ("Keep {3}, {name} and {tool.gone}.", "Keep {3}, {name} and {tool.gone}."),
        ("{tool.sum} {tool.who.name} {tool.paid}", "12.5 Ann true"),
        ("{tool.who}", '{"name": "Ann"}'),
    ],
)
async def test_placeholders_are_filled(template, filled):
    result = json.dumps({"sum": 12.5, "who": {"name": "Ann"}, "paid": True})
    text = r"order (\d+), (\w+)"
    after = request("order 7, blue", *called("get_balance", result))

    assert await say([Rule(text=text, tool="get_balance", reply=template)], after) == filled


async def test_a_result_that_is_no_json_has_no_fields():
    after = request("Hi", *called("get_balance", "five euro"))

    assert await say([Rule(tool="get_balance", reply="{tool.amount}!")], after) == "{tool.amount}!"


async def test_what_a_person_writes_is_never_a_template():
    assert await say([Rule(reply="{text}")], request("{1} {tool.x}")) == "{1} {tool.x}"


async def test_a_call_has_arguments_with_placeholders():
    rule = Rule(
        text=r"balance of (\w+)",
        call="get_balance",
        arguments={"user_id": "{1}", "options": [{"note": "{text}"}], "limit": 5},
    )

    done = (await play([rule], request("Balance of u1")))[-1]

    assert isinstance(done, ModelDone)
    assert json.loads(done.tool_calls[0].arguments) == {
        "user_id": "u1",
        "options": [{"note": "Balance of u1"}],
        "limit": 5,
    }


async def test_a_reply_may_go_with_a_call():
    events = await play([Rule(reply="Wait.", call="get_balance")])

    assert events[0] == ModelText("Wait.")
    assert isinstance(events[1], ModelDone)
    assert events[1].tool_calls[0].name == "get_balance"


async def test_a_call_of_what_is_not_offered_is_passed_over():
    rules = [Rule(call="get_balance"), Rule(handoff="Billing"), Rule(reply="No.")]

    assert await say(rules, request(offered=())) == "No."


async def test_nobody_is_handed_the_talk_twice_in_a_turn():
    rules = [Rule(handoff="Billing"), Rule(reply="Here we are again.")]
    handed = called("transfer_to_billing", "{}")

    assert await say(rules, request("Hello", *handed)) == "Here we are again."


@pytest.mark.parametrize(
    ("fail", "transient", "code"),
    [("transient", True, "model_error"), ("permanent", False, "model_refused_request")],
)
async def test_a_rule_may_fail(fail, transient, code):
    with pytest.raises(ModelError) as caught:
        await play([Rule(fail=fail)])

    assert (caught.value.transient, caught.value.code) == (transient, code)


async def test_a_rule_may_break_off_after_its_reply():
    stream = ScriptedModel([Rule(reply="Half a", fail="cut")]).stream(request())

    assert [await anext(stream), await anext(stream)] == [ModelText("Half "), ModelText("a")]
    with pytest.raises(ModelError, match="broke off"):
        await anext(stream)


async def test_a_rule_may_take_its_time():
    stream = ScriptedModel([Rule(reply="Late.", delay_s=60)]).stream(request())

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.05)


async def test_words_may_take_their_time():
    stream = ScriptedModel([Rule(reply="One two.", chunk_delay_s=60)]).stream(request())

    assert await anext(stream) == ModelText("One ")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.05)


async def test_pictures_in_a_message_do_not_hide_its_text():
    content = [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "Hello"}]
    asked = ModelRequest(agent="Desk", messages=[{"role": "user", "content": content}])

    assert await say([Rule(text="^hello$", reply="Hi.")], asked) == "Hi."


async def test_a_request_without_a_person_is_answered():
    assert await say([Rule(reply="Hi.")], ModelRequest(agent="Desk", messages=[])) == "Hi."


async def test_a_whole_turn_is_handed_over_calls_a_tool_and_answers():
    spec = tool()
    hub = bot(
        agent("Hub", handoffs=("Payments",)),
        agent("Payments", tools=("get_balance",)),
        agent("Style", kind="post_process"),
        tools=[spec],
    )
    model = ScriptedModel(
        [
            Rule(agent="Style", reply="** {text} **"),
            Rule(agent="Hub", text="balance", handoff="Payments"),
            Rule(agent="Payments", text="balance", call="get_balance", arguments={"user_id": "u"}),
            Rule(tool="get_balance", reply="You owe {tool.amount} euro."),
        ]
    )
    table = ToolTable([(spec, RecordingTool('{"amount": 12.5}'))])

    turn = await told(hub, [user("What is my balance?")], model, tools=table)

    assert turn.external == ["** You owe 12.5 euro. **"]
    assert turn.of(HandedOff) == [HandedOff("Hub", "Payments")]
    assert turn.finished.final_agent == "Payments"


async def test_a_long_reply_leaves_room_for_everybody_else() -> None:
    laps = 0

    async def run_beside() -> None:
        nonlocal laps
        while True:
            laps += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(run_beside())
    await play([Rule(reply="word " * 1_000)], request(wants_stream=True))
    beside.cancel()

    assert laps >= 9

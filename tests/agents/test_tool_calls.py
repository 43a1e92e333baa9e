"""Tools in a turn: run here or by the caller, remembered by the journal, limited."""

import asyncio

from gateway.agents.journal import MemoryJournal
from gateway.agents.tools.table import ToolTable
from gateway.domain.bots import Bot, ToolSpec
from gateway.domain.conversation import Message, ToolCall
from gateway.domain.ids import ParticipantId, SessionId
from gateway.domain.turns import ToolCalled, ToolReturned, TurnOptions, TurnWaiting
from gateway.errors import ToolError
from gateway.testing.models import USAGE, FakeModel, asks
from tests.agents.builders import RecordingTool, agent, assistant, bot, result, told, tool, user

CALL = ToolCall("c1", "get_balance", '{"user_id": "u1"}')


def desk(*specs: ToolSpec, **settings) -> Bot:
    specs = specs or (tool(),)
    names = tuple(spec.name for spec in specs)
    return bot(agent("Desk", tools=names), tools=specs, **settings)


async def test_a_tool_is_run_and_its_result_goes_back_to_the_model():
    runner = RecordingTool("12.50")
    model = FakeModel(asks(CALL), "You owe 12.50.")

    turn = await told(desk(), [user("Balance?")], model, tools=ToolTable([(tool(), runner)]))

    assert runner.calls[0][0] == {"user_id": "u1"}
    assert model.requests[1].messages[-1] == {
        "role": "tool",
        "tool_call_id": "c1",
        "content": "12.50",
    }
    assert turn.external == ["You owe 12.50."]


async def test_a_tool_leaves_events_and_internal_messages():
    model = FakeModel(asks(CALL), "You owe 12.50.")

    turn = await told(
        desk(), [user("Balance?")], model, tools=ToolTable([(tool(), RecordingTool())])
    )

    assert turn.of(ToolCalled) == [ToolCalled(CALL, "Desk")]
    assert turn.of(ToolReturned) == [ToolReturned("c1", "get_balance", is_ok=True)]
    calling, answer, _ = turn.messages
    assert (calling.visibility, calling.tool_calls, calling.usage) == ("internal", (CALL,), USAGE)
    assert (answer.role, answer.tool_name, answer.visibility) == ("tool", "get_balance", "internal")


async def test_a_tool_learns_who_is_talking_from_the_session():
    runner = RecordingTool()

    await told(
        desk(),
        [user("Balance?")],
        FakeModel(asks(CALL), "Yes."),
        tools=ToolTable([(tool(), runner)]),
        session_id=SessionId("ses_1"),
        participant_id=ParticipantId("par_1"),
        options=TurnOptions(context={"plan": "gold"}),
    )

    context = runner.calls[0][1]
    assert (context.session_id, context.participant_id) == ("ses_1", "par_1")
    assert (context.project_id, context.bot) == ("demo", "support")
    assert context.context == {"plan": "gold"}
    assert context.idempotency_key == "turn_1/0"


async def test_several_calls_are_run_in_the_order_of_the_model():
    runner = RecordingTool()
    second = ToolCall("c2", "get_balance", '{"user_id": "u2"}')

    await told(
        desk(),
        [user("Balance?")],
        FakeModel(asks(CALL, second), "Yes."),
        tools=ToolTable([(tool(), runner)]),
    )

    assert [arguments["user_id"] for arguments, _ in runner.calls] == ["u1", "u2"]
    assert [context.idempotency_key for _, context in runner.calls] == ["turn_1/0", "turn_1/1"]


async def test_a_failing_tool_is_told_to_the_model_and_the_turn_goes_on():
    runner = RecordingTool(ToolError("The bank is closed."))
    model = FakeModel(asks(CALL), "Come back tomorrow.")

    turn = await told(desk(), [user("Balance?")], model, tools=ToolTable([(tool(), runner)]))

    assert model.requests[1].messages[-1]["content"] == "The bank is closed."
    assert turn.of(ToolReturned) == [ToolReturned("c1", "get_balance", is_ok=False)]
    assert turn.external == ["Come back tomorrow."]


async def test_an_unknown_tool_is_told_to_the_model():
    model = FakeModel(asks(ToolCall("c1", "rob_bank", "{}")), "Sorry.")

    turn = await told(desk(), [user("Money!")], model, tools=ToolTable([(tool(), RecordingTool())]))

    assert model.requests[1].messages[-1]["content"] == "There is no tool named rob_bank."
    assert turn.external == ["Sorry."]


async def test_a_tool_of_another_agent_cannot_be_called():
    runner = RecordingTool()
    two = bot(agent("Desk"), agent("Bank", tools=("get_balance",)), tools=[tool()])
    model = FakeModel(asks(CALL), "Sorry.")

    await told(two, [user("Balance?")], model, tools=ToolTable([(tool(), runner)]))

    assert runner.calls == []


async def test_tool_calls_are_limited():
    runner = RecordingTool()
    calls = asks(CALL, ToolCall("c2", "get_balance", '{"user_id": "u2"}'))

    turn = await told(
        desk(max_tool_calls=1),
        [user("Balance?")],
        FakeModel(calls),
        tools=ToolTable([(tool(), runner)]),
    )

    assert turn.failed.error.code == "step_limit"
    assert "max_tool_calls (1)" in turn.failed.error.message
    assert runner.calls == []


async def test_the_deadline_holds_for_a_tool_too():
    never = asyncio.Event()

    async def hang() -> str:
        await never.wait()
        return ""

    turn = await told(
        desk(turn_timeout_s=0.05),
        [user("Balance?")],
        FakeModel(asks(CALL)),
        tools=ToolTable([(tool(), RecordingTool(hang))]),
    )

    assert turn.failed.error.code == "turn_timeout"


class TestRepeatedTurn:
    async def repeat(self, spec: ToolSpec, *, ended: bool, call: ToolCall = CALL):
        """Run a turn of which an earlier attempt made `CALL` and broke off."""
        journal = MemoryJournal("turn_1")
        await journal.begin(0, CALL)
        if ended:
            await journal.end(0, result="11.00", is_ok=True)
        runner = RecordingTool("12.50")
        model = FakeModel(asks(call), "Done.")
        await told(
            desk(spec),
            [user("Balance?")],
            model,
            tools=ToolTable([(spec, runner)]),
            journal=journal,
        )
        return runner, model.requests[1].messages[-1]["content"]

    async def test_a_call_that_ended_is_not_made_again(self):
        runner, told_model = await self.repeat(tool(access="write"), ended=True)

        assert runner.calls == []
        assert told_model == "11.00"

    async def test_a_call_with_an_unknown_end_is_not_repeated(self):
        runner, told_model = await self.repeat(tool(access="write"), ended=False)

        assert runner.calls == []
        assert "not known" in told_model

    async def test_a_read_with_an_unknown_end_is_repeated(self):
        runner, told_model = await self.repeat(tool(access="read"), ended=False)

        assert len(runner.calls) == 1
        assert told_model == "12.50"

    async def test_an_idempotent_call_is_repeated_under_the_same_key(self):
        runner, _ = await self.repeat(tool(access="write", is_idempotent=True), ended=False)

        assert runner.calls[0][1].idempotency_key == "turn_1/0"

    async def test_a_call_is_recognised_by_what_its_arguments_mean(self):
        spaced = ToolCall("other", "get_balance", '{ "user_id" : "u1" }')

        runner, _ = await self.repeat(tool(access="write"), ended=True, call=spaced)

        assert runner.calls == []

    async def test_a_call_whose_arguments_cannot_be_read_is_another_one(self):
        journal = MemoryJournal("turn_1")
        await journal.begin(0, ToolCall("c1", "get_balance", "{"))
        runner = RecordingTool()

        await told(
            desk(),
            [user("Balance?")],
            FakeModel(asks(CALL), "Done."),
            tools=ToolTable([(tool(), runner)]),
            journal=journal,
        )

        assert runner.calls[0][1].idempotency_key == "turn_1/1"

    async def test_another_call_than_before_is_made_under_a_key_of_its_own(self):
        other = ToolCall("c9", "get_balance", '{"user_id": "u2"}')

        runner, told_model = await self.repeat(tool(access="write"), ended=True, call=other)

        assert told_model == "12.50"
        assert runner.calls[0][1].idempotency_key == "turn_1/1"


class TestToolsOfTheCaller:
    SPEC = tool("pick_seat", kind="client", parameters={})
    SEAT = ToolCall("s1", "pick_seat", "{}")
    OPTIONS = TurnOptions(client_tools=True)

    async def test_they_are_offered_only_to_a_caller_that_can_run_them(self):
        without, with_them = FakeModel("Yes."), FakeModel("Yes.")
        table = ToolTable([(self.SPEC, None)])

        await told(desk(self.SPEC), [user("Seat?")], without, tools=table)
        await told(desk(self.SPEC), [user("Seat?")], with_them, tools=table, options=self.OPTIONS)

        assert without.requests[0].tools == []
        assert with_them.requests[0].tools[0]["function"]["name"] == "pick_seat"

    async def test_a_call_of_one_ends_the_run_as_waiting(self):
        turn = await told(
            desk(self.SPEC), [user("Seat?")], FakeModel(asks(self.SEAT)), options=self.OPTIONS
        )

        assert turn.waiting == TurnWaiting((self.SEAT,), "Desk", "Desk", USAGE, "fake-model")
        (message,) = turn.messages
        assert (message.tool_calls, message.visibility) == ((self.SEAT,), "internal")

    async def test_own_calls_are_run_before_those_of_the_caller_are_given_away(self):
        runner = RecordingTool("12.50")
        model = FakeModel(asks(self.SEAT, CALL))

        turn = await told(
            desk(self.SPEC, tool()),
            [user("Seat?")],
            model,
            tools=ToolTable([(tool(), runner)]),
            options=self.OPTIONS,
        )

        own, answer, given = turn.messages
        assert (own.tool_calls, answer.text, given.tool_calls) == ((CALL,), "12.50", (self.SEAT,))
        assert turn.waiting.tool_calls == (self.SEAT,)
        assert sum((m.usage.input_tokens for m in turn.messages if m.usage), 0) == 10

    async def test_a_hand_off_beside_them_does_not_happen(self):
        two = bot(
            agent("Desk", tools=("pick_seat",), handoffs=("Bank",)),
            agent("Bank"),
            tools=[self.SPEC],
        )
        model = FakeModel(asks(ToolCall("h", "transfer_to_bank", "{}"), self.SEAT))

        turn = await told(two, [user("Seat?")], model, options=self.OPTIONS)

        assert turn.waiting.next_agent == "Desk"
        assert "not handed over" in turn.messages[1].text

    def waited(self, **stored) -> list[Message]:
        return [
            user("Seat?", seq=1),
            assistant(agent="Desk", tool_calls=(self.SEAT,), visibility="internal", **stored),
        ]

    async def test_the_results_of_the_caller_answer_the_calls(self):
        model = FakeModel("Seat 4 it is.")
        options = TurnOptions(client_tools=True, tool_results={"s1": "4"})

        turn = await told(desk(self.SPEC), self.waited(seq=2), model, options=options, agent="Desk")

        assert model.requests[0].messages[-1]["content"] == "4"
        answer, reply = turn.messages
        assert (answer.role, answer.tool_call_id, answer.text) == ("tool", "s1", "4")
        assert turn.of(ToolReturned) == [ToolReturned("s1", "pick_seat", is_ok=True)]
        assert reply.text == "Seat 4 it is."

    async def test_a_missing_result_counts_as_declined(self):
        model = FakeModel("As you like.")

        turn = await told(desk(self.SPEC), self.waited(seq=2), model, options=self.OPTIONS)

        assert "declined" in model.requests[0].messages[-1]["content"]
        assert turn.of(ToolReturned) == [ToolReturned("s1", "pick_seat", is_ok=False)]

    async def test_a_foreign_history_with_an_open_call_gets_no_message_for_it(self):
        model = FakeModel("As you like.")

        turn = await told(desk(self.SPEC), self.waited(), model, options=self.OPTIONS)

        assert model.requests[0].messages[-1]["content"] == '{"error": "no result"}'
        assert len(turn.messages) == 1

    async def test_results_without_a_call_answer_nothing(self):
        options = TurnOptions(client_tools=True, tool_results={"s1": "4"})
        orphan = result("s1", "4", seq=1)

        turn = await told(desk(self.SPEC), [orphan], FakeModel("Yes."), options=options)

        assert len(turn.messages) == 1

    async def test_calls_before_the_wait_count_towards_the_limit(self):
        runner = RecordingTool()
        history = [
            user("Seat?", seq=1),
            assistant(agent="Desk", tool_calls=(CALL,), seq=2),
            result("c1", "12.50", seq=3),
            *self.waited(seq=4)[1:],
        ]
        options = TurnOptions(client_tools=True, tool_results={"s1": "4"})

        turn = await told(
            desk(self.SPEC, tool(), max_tool_calls=1),
            history,
            FakeModel(asks(CALL)),
            tools=ToolTable([(tool(), runner)]),
            options=options,
        )

        assert turn.failed.error.code == "step_limit"

    async def test_tools_that_came_with_the_call_are_offered_to_the_first_agent_only(self):
        two = bot(agent("Desk", handoffs=("Bank",)), agent("Bank"))
        model = FakeModel(asks(ToolCall("h", "transfer_to_bank", "{}")), "Yes.")

        await told(two, [user("Hi")], model, caller_tools=[self.SPEC])

        names = [[t["function"]["name"] for t in r.tools] for r in model.requests]
        assert names == [["transfer_to_bank", "pick_seat"], []]

    async def test_a_call_of_such_a_tool_waits_for_the_caller(self):
        turn = await told(bot(), [user("Hi")], FakeModel(asks(self.SEAT)), caller_tools=[self.SPEC])

        assert turn.waiting.tool_calls == (self.SEAT,)

    async def test_such_a_tool_never_takes_the_place_of_one_of_the_bot(self):
        runner = RecordingTool()
        model = FakeModel(asks(CALL), "Yes.")

        turn = await told(
            desk(),
            [user("Hi")],
            model,
            tools=ToolTable([(tool(), runner)]),
            caller_tools=[tool(kind="client")],
        )

        assert len(model.requests[0].tools) == 1
        assert len(runner.calls) == 1
        assert turn.external == ["Yes."]

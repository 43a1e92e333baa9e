"""A turn without tools: text, limits, failures, and what the model is asked."""

import asyncio

from gateway.agents.journal import MemoryJournal
from gateway.agents.model import ModelDone, ModelRestarted, ModelText
from gateway.agents.orchestrator import run_turn
from gateway.agents.tools.table import ToolTable
from gateway.domain.conversation import ToolCall, Usage
from gateway.domain.turns import (
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TextRestarted,
    TurnFinished,
    TurnOptions,
)
from gateway.errors import ModelError
from gateway.testing.models import USAGE, FakeModel, Hold, asks
from tests.agents.builders import agent, bot, told, tool, user

DONE = ModelDone((), USAGE, "fake-model")


async def test_a_reply_is_streamed_and_then_stands_as_one_message():
    model = FakeModel("Good day to you.")

    turn = await told(bot(), [user("Hello")], model)

    started, *deltas, completed, finished = turn.events
    assert isinstance(started, MessageStarted)
    assert [d.text for d in deltas if isinstance(d, TextDelta)] == ["Good", " day", " to", " you."]
    assert isinstance(completed, MessageCompleted)
    assert completed.message.id == started.message_id
    assert completed.message.text == "Good day to you."
    assert completed.message.agent == "Desk"
    assert completed.message.usage == USAGE
    assert finished == TurnFinished("Desk", "Desk", USAGE, "fake-model")


async def test_the_instructions_come_first_and_the_question_last():
    model = FakeModel("Yes.")

    await told(bot(), [user("Open?")], model)

    (request,) = model.requests
    assert request.agent == "Desk"
    assert request.messages == [
        {"role": "system", "content": "You are Desk."},
        {"role": "user", "content": "Open?"},
    ]


async def test_settings_of_the_agent_reach_the_model():
    desk = agent("Desk", temperature=0.1, max_tokens=7, parameters={"seed": 4})
    model = FakeModel("Yes.")

    await told(bot(desk), [user("Open?")], model, request_id="req_1", wants_stream=False)

    (request,) = model.requests
    assert (request.temperature, request.max_tokens, request.parameters) == (0.1, 7, {"seed": 4})
    assert (request.request_id, request.wants_stream) == ("req_1", False)


async def test_context_and_state_stand_below_the_instructions():
    model = FakeModel("Yes.")
    options = TurnOptions(context={"user": "u1"})

    await told(bot(), [user("Open?")], model, options=options, state={"step": 2})

    system = model.requests[0].messages[0]["content"]
    assert system == 'You are Desk.\n\n# Context\n\n{"user": "u1"}\n\n{"step": 2}'


async def test_leading_white_space_is_not_shown_and_not_stored():
    model = FakeModel([ModelText("\n\n"), ModelText("  Yes."), DONE])

    turn = await told(bot(), [user("Open?")], model)

    assert turn.shown == "Yes."
    assert turn.external == ["Yes."]


async def test_a_broken_stream_that_starts_over_voids_the_text_so_far():
    model = FakeModel([ModelText("Ye"), ModelRestarted(), ModelText("No."), DONE])

    turn = await told(bot(), [user("Open?")], model)

    kinds = [type(event) for event in turn.events]
    assert kinds[:4] == [MessageStarted, TextDelta, TextRestarted, TextDelta]
    assert turn.external == ["No."]


async def test_an_answer_cut_by_the_provider_is_kept_as_incomplete():
    model = FakeModel([ModelText("Once upon"), ModelDone((), Usage(3, 2), "m", was_cut=True)])

    turn = await told(bot(), [user("Tell me")], model)

    assert turn.messages[0].is_incomplete
    assert turn.finished.is_incomplete


async def test_a_model_error_fails_the_turn_with_its_code():
    error = ModelError("The model is away.", transient=True, code="model_unavailable")

    turn = await told(bot(), [user("Hello")], FakeModel(error))

    assert turn.failed.error.code == "model_unavailable"
    assert turn.failed.error.is_retryable
    assert turn.failed.is_transient
    assert turn.messages == []


async def test_text_of_an_attempt_that_failed_for_good_is_not_kept():
    model = FakeModel([ModelText("Half a"), ModelError("It broke off.", transient=True)])

    turn = await told(bot(), [user("Hello")], model)

    assert turn.messages == []
    assert turn.failed.error.code == "model_error"


async def test_an_empty_answer_is_a_failure():
    turn = await told(bot(), [user("Hello")], FakeModel([DONE]))

    assert turn.failed.error.code == "model_error"
    assert turn.failed.usage == USAGE


async def test_an_empty_answer_after_shown_text_ends_the_turn():
    model = FakeModel(asks(ToolCall("c1", "nothing", "{}"), text="All done."), [DONE])

    turn = await told(bot(), [user("Hello")], model)

    assert turn.external == ["All done."]
    assert not turn.finished.is_incomplete


async def test_a_stream_without_an_end_is_a_failure():
    turn = await told(bot(), [user("Hello")], FakeModel([ModelText("Half")]))

    assert turn.failed.is_transient


async def test_an_agent_without_its_model_is_a_failure():
    turn = await told(bot(agent("Desk", model="other")), [user("Hello")], FakeModel())

    assert turn.failed.error.code == "model_error"
    assert not turn.failed.is_transient


async def test_text_shown_before_the_deadline_is_kept_as_incomplete():
    model = FakeModel(Hold("Let me think"))

    turn = await told(bot(turn_timeout_s=0.05), [user("Hello")], model)

    assert turn.finished.is_incomplete
    assert [(m.text, m.is_incomplete) for m in turn.messages] == [("Let me think", True)]
    assert model.closed_early == 1


async def test_a_deadline_before_any_text_fails_the_turn():
    options = TurnOptions(timeout_s=0.05)

    turn = await told(bot(), [user("Hello")], FakeModel(Hold()), options=options)

    assert turn.failed.error.code == "turn_timeout"
    assert not turn.failed.is_transient


async def test_a_given_deadline_goes_before_a_later_one():
    deadline = asyncio.get_running_loop().time() + 0.05

    turn = await told(bot(), [user("Hello")], FakeModel(Hold()), deadline=deadline)

    assert turn.failed.error.code == "turn_timeout"


async def test_closing_the_turn_stops_the_model_call():
    model = FakeModel(Hold("Let me think"))
    turn = run_turn(
        bot(),
        [user("Hello")],
        models={"main": model},
        tools=ToolTable(),
        journal=MemoryJournal("turn_1"),
    )
    await anext(turn)

    await turn.aclose()

    assert model.closed_early == 1


async def test_cancelling_the_reader_stops_the_model_call():
    hold = Hold("Let me think")
    model = FakeModel(hold)
    reader = asyncio.create_task(told(bot(), [user("Hello")], model))
    await asyncio.wait_for(hold.reached.wait(), 5)

    reader.cancel()
    await asyncio.wait({reader}, timeout=5)

    assert reader.cancelled()
    assert model.closed_early == 1


async def test_the_agent_of_the_options_goes_before_the_one_that_kept_the_talk():
    both = bot(agent("Desk"), agent("Billing"), agent("Sales"))
    model = FakeModel("Yes.")

    turn = await told(
        both, [user("Hi")], model, agent="Billing", options=TurnOptions(agent="Sales")
    )

    assert turn.finished.final_agent == "Sales"


async def test_an_agent_that_no_longer_exists_is_replaced_by_the_start_agent():
    turn = await told(bot(), [user("Hi")], FakeModel("Yes."), agent="Gone")

    assert turn.finished.final_agent == "Desk"


async def test_an_escalation_agent_talks_like_any_other():
    both = bot(agent("Desk"), agent("Help", kind="escalation"))

    turn = await told(both, [user("Hi")], FakeModel("Call us."), agent="Help")

    assert turn.external == ["Call us."]


class TestPostProcess:
    def make_bot(self):
        return bot(agent("Desk"), agent("Style", kind="post_process", handoffs=()))

    async def test_only_the_rewritten_text_is_shown(self):
        model = FakeModel("draft text", "Final text.")

        turn = await told(self.make_bot(), [user("Hello")], model)

        assert turn.shown == "Final text."
        assert turn.external == ["Final text."]

    async def test_the_draft_is_kept_as_an_internal_message_of_its_agent(self):
        model = FakeModel("draft text", "Final text.")

        turn = await told(self.make_bot(), [user("Hello")], model)

        draft, final = turn.messages
        assert (draft.text, draft.agent, draft.visibility) == ("draft text", "Desk", "internal")
        assert final.agent == "Desk", "a person talks to the same agent as before"

    async def test_the_talking_agent_stays_the_final_one(self):
        model = FakeModel("draft text", "Final text.")

        turn = await told(self.make_bot(), [user("Hello")], model)

        assert (turn.finished.final_agent, turn.finished.next_agent) == ("Desk", "Desk")
        assert turn.finished.usage == USAGE + USAGE

    async def test_it_is_asked_about_the_draft_without_tools(self):
        model = FakeModel("draft text", "Final text.")

        await told(self.make_bot(), [user("Hello")], model)

        request = model.requests[1]
        assert request.messages == [
            {"role": "system", "content": "You are Style."},
            {"role": "user", "content": "draft text"},
        ]
        assert request.tools == []

    async def test_a_draft_needs_no_stream(self):
        model = FakeModel("draft text", "Final text.")

        await told(self.make_bot(), [user("Hello")], model)

        assert [request.wants_stream for request in model.requests] == [False, True]

    async def test_a_draft_is_never_shown_in_place_of_a_failed_rewriting(self):
        model = FakeModel("draft text", ModelError("Away.", transient=False))

        turn = await told(self.make_bot(), [user("Hello")], model)

        assert turn.external == []
        assert turn.failed.error.code == "model_error"

    async def test_an_empty_rewriting_is_a_failure(self):
        turn = await told(self.make_bot(), [user("Hello")], FakeModel("draft text", [DONE]))

        assert turn.failed.error.code == "model_error"

    async def test_text_beside_tool_calls_stays_internal(self):
        spec = tool()
        editor = agent("Style", kind="post_process")
        call = asks(ToolCall("c1", "get_balance", "{}"), text="Let me look.")
        model = FakeModel(call, "draft", "Final.")

        turn = await told(
            bot(agent("Desk", tools=("get_balance",)), editor, tools=[spec]), [user("Hello")], model
        )

        assert turn.external == ["Final."]

    async def test_it_never_starts_a_turn(self):
        model = FakeModel("draft text", "Final text.")

        turn = await told(self.make_bot(), [user("Hello")], model, agent="Style")

        assert turn.finished.final_agent == "Desk"

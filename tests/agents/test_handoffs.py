"""Hand-offs between agents: who speaks, what is shown, who answers next."""

import pytest

from gateway.domain.bots import Bot, handoff_tool_name
from gateway.domain.conversation import ToolCall
from gateway.domain.turns import HandedOff
from gateway.testing.models import FakeModel, asks
from tests.agents.builders import agent, assistant, bot, result, told, user


def to(name: str, *, text: str = "", call_id: str = "h1"):
    return asks(ToolCall(call_id, handoff_tool_name(name), "{}"), text=text)


def hub(**billing) -> Bot:
    return bot(agent("Hub", handoffs=("Billing",)), agent("Billing", **billing))


async def test_the_agent_that_was_handed_the_talk_answers():
    turn = await told(hub(), [user("My bill?")], FakeModel(to("Billing"), "Five euro."))

    assert turn.external == ["Five euro."]
    assert turn.of(HandedOff) == [HandedOff("Hub", "Billing")]
    assert turn.finished.final_agent == "Billing"


async def test_a_hand_off_leaves_an_internal_pair_in_the_transcript():
    turn = await told(hub(), [user("My bill?")], FakeModel(to("Billing"), "Five euro."))

    calling, answer, _ = turn.messages
    assert (calling.role, calling.visibility, calling.agent) == ("assistant", "internal", "Hub")
    assert calling.tool_calls[0].name == "transfer_to_billing"
    assert (answer.tool_call_id, answer.text) == ("h1", '{"assistant": "Billing"}')


async def test_hand_offs_are_offered_as_tools_with_the_description_of_the_target():
    model = FakeModel("Hello.")

    await told(hub(description="Bills and refunds."), [user("Hi")], model)

    (offer,) = model.requests[0].tools
    assert offer["function"]["name"] == "transfer_to_billing"
    assert "Bills and refunds." in offer["function"]["description"]


async def test_text_beside_a_hand_off_is_a_message_of_its_own():
    model = FakeModel(to("Billing", text="One moment."), "Five euro.")

    turn = await told(hub(), [user("My bill?")], model)

    assert turn.external == ["One moment.", "Five euro."]


async def test_a_hand_off_that_is_not_configured_is_refused_to_the_model():
    model = FakeModel(to("Billing"), "I stay.")
    two = bot(agent("Hub"), agent("Billing"))

    turn = await told(two, [user("My bill?")], model)

    assert turn.finished.final_agent == "Hub"
    assert turn.messages[1].text == "There is no tool named transfer_to_billing."


async def test_only_the_first_of_two_hand_offs_happens():
    three = bot(agent("Hub", handoffs=("A", "B")), agent("A"), agent("B"))
    both = asks(ToolCall("1", "transfer_to_a", "{}"), ToolCall("2", "transfer_to_b", "{}"))

    turn = await told(three, [user("Hi")], FakeModel(both, "Here."))

    assert turn.finished.final_agent == "A"
    assert turn.messages[2].text == '{"error": "not handed over: one step at a time"}'


@pytest.mark.parametrize(
    ("control", "next_agent"),
    [("retain", "C"), ("relinquish_to_parent", "B"), ("relinquish_to_start", "A")],
)
async def test_control_says_who_answers_next(control, next_agent):
    chain = bot(
        agent("A", handoffs=("B",)), agent("B", handoffs=("C",)), agent("C", control=control)
    )

    turn = await told(chain, [user("Hi")], FakeModel(to("B"), to("C", call_id="h2"), "Done."))

    assert turn.finished.final_agent == "C"
    assert turn.finished.next_agent == next_agent


async def test_the_parent_is_known_from_an_earlier_turn():
    two = hub(control="relinquish_to_parent")
    history = [
        user("My bill?"),
        assistant(agent="Hub", tool_calls=(ToolCall("h", "transfer_to_billing", "{}"),)),
        result("h", "{}"),
        assistant("Which one?", agent="Billing"),
        user("The last."),
    ]

    turn = await told(two, history, FakeModel("Five euro."), agent="Billing")

    assert turn.finished.next_agent == "Hub"


async def test_an_agent_nobody_handed_over_to_keeps_the_talk():
    two = hub(control="relinquish_to_parent")

    turn = await told(two, [user("Hi")], FakeModel("Hello."), agent="Billing")

    assert turn.finished.next_agent == "Billing"


async def test_hops_are_limited():
    ring = bot(agent("A", handoffs=("B",)), agent("B", handoffs=("A",)), max_hops=3)
    model = FakeModel(*(to(name) for name in "BABA"))

    turn = await told(ring, [user("Hi")], model)

    assert turn.failed.error.code == "step_limit"
    assert "max_hops (3)" in turn.failed.error.message
    assert len(model.requests) == 4


async def test_a_limit_after_shown_text_ends_the_turn_as_incomplete():
    ring = bot(agent("A", handoffs=("B",)), agent("B", handoffs=("A",)), max_hops=1)
    model = FakeModel(to("B", text="Let me ask."), to("A"))

    turn = await told(ring, [user("Hi")], model)

    assert turn.finished.is_incomplete
    assert turn.external == ["Let me ask."]


class TestInternalAgents:
    def make_bot(self) -> Bot:
        return bot(agent("Hub", handoffs=("Research",)), agent("Research", visibility="internal"))

    async def test_their_text_is_never_shown(self):
        model = FakeModel(to("Research"), "secret notes", "The answer.")

        turn = await told(self.make_bot(), [user("Why?")], model)

        assert turn.shown == "The answer."
        assert turn.external == ["The answer."]

    async def test_control_returns_to_who_handed_over(self):
        model = FakeModel(to("Research"), "secret notes", "The answer.")

        turn = await told(self.make_bot(), [user("Why?")], model)

        assert turn.of(HandedOff) == [HandedOff("Hub", "Research"), HandedOff("Research", "Hub")]
        assert (turn.finished.final_agent, turn.finished.next_agent) == ("Hub", "Hub")

    async def test_who_handed_over_reads_what_they_found(self):
        model = FakeModel(to("Research"), "secret notes", "The answer.")

        await told(self.make_bot(), [user("Why?")], model)

        said, answer = model.requests[2].messages[-2:]
        assert said["content"] == "secret notes"
        assert said["tool_calls"][0]["function"]["name"] == "transfer_to_hub"
        assert answer["content"] == '{"assistant": "Hub"}'

    async def test_one_that_finds_nothing_says_so(self):
        model = FakeModel(to("Research"), asks(), "I do not know.")

        turn = await told(self.make_bot(), [user("Why?")], model)

        assert turn.messages[2].text == "(nothing to report)"

    async def test_one_that_starts_a_turn_reports_to_the_start_agent(self):
        model = FakeModel("secret notes", "The answer.")

        turn = await told(self.make_bot(), [user("Why?")], model, agent="Research")

        assert turn.external == ["The answer."]
        assert turn.finished.final_agent == "Hub"

    async def test_one_with_nobody_to_report_to_talks_itself(self):
        alone = bot(agent("Solo", visibility="internal"))

        turn = await told(alone, [user("Why?")], FakeModel("Because."))

        assert turn.external == ["Because."]

    async def test_whom_they_hand_the_talk_to_answers_and_gives_back_past_them(self):
        chain = bot(
            agent("Hub", handoffs=("Router",)),
            agent("Router", visibility="internal", handoffs=("Sales",)),
            agent("Sales", control="relinquish_to_parent"),
        )
        model = FakeModel(to("Router"), to("Sales", call_id="h2"), "Buy this.")

        turn = await told(chain, [user("Hi")], model)

        assert turn.external == ["Buy this."]
        assert turn.finished.next_agent == "Hub"

    async def test_a_circle_of_internal_agents_ends_at_the_hop_limit(self):
        ring = bot(
            agent("A", visibility="internal", handoffs=("B",)),
            agent("B", visibility="internal", handoffs=("A",)),
            max_hops=2,
        )

        turn = await told(ring, [user("Hi")], FakeModel(to("B"), to("A"), to("B")))

        assert turn.failed.error.code == "step_limit"

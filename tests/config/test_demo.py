"""The demo's conversations, played offline from the rules in config.example.toml."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.agents.journal import MemoryJournal
from gateway.agents.orchestrator import run_turn
from gateway.agents.scripted_model import ScriptedModel
from gateway.agents.tools.python import PythonTool
from gateway.agents.tools.table import ToolTable
from gateway.config.load import load
from gateway.domain.conversation import Message, TextPart
from gateway.domain.ids import new_message_id
from gateway.domain.turns import HandedOff, MessageCompleted, ToolReturned, TurnFinished

EXAMPLE = Path(__file__).parent.parent.parent / "config.example.toml"


class Talk:
    """One session with the demo's bot, kept in memory."""

    def __init__(self) -> None:
        config = load(EXAMPLE, environment={})
        (self.bot,) = config.bots()
        rules = [replace(rule, chunk_delay_s=0) for rule in config.models()["demo"].rules]
        self.models = {"demo": ScriptedModel(rules)}
        self.tools = ToolTable((spec, PythonTool(spec)) for spec in self.bot.tools.values())
        self.history: list[Message] = []
        self.agent: str | None = None
        self.steps: list[str] = []

    async def say(self, text: str) -> str:
        """The reply to a message; `steps` then tells hand-offs and tools on the way."""
        self.history.append(message(text))
        self.steps = []
        replies = []
        journal = MemoryJournal(f"turn{len(self.history)}")
        async for event in run_turn(
            self.bot,
            self.history,
            models=self.models,
            tools=self.tools,
            journal=journal,
            agent=self.agent,
        ):
            match event:
                case HandedOff(to_agent=name):
                    self.steps.append(name)
                case ToolReturned(name=name, is_ok=True):
                    self.steps.append(name)
                case MessageCompleted(message=said):
                    self.history.append(said)
                    replies += [said.text] if said.visibility == "external" else []
                case TurnFinished(next_agent=name):
                    self.agent = name
                case _:
                    pass
        (reply,) = replies
        return reply


def message(text: str) -> Message:
    """A message of a person."""
    return Message(id=new_message_id(), role="user", content=(TextPart(text),))


@pytest.fixture
def talk() -> Talk:
    """A fresh session."""
    return Talk()


async def test_a_balance_comes_from_the_tool_by_way_of_the_specialist(talk: Talk) -> None:
    reply = await talk.say("What is my outstanding balance?")

    assert talk.steps == ["Outstanding Payments", "get_outstanding_balance"]
    assert "**$1,284.50**" in reply
    assert "$35.00" in reply


async def test_another_card_can_be_asked_about_in_the_next_message(talk: Talk) -> None:
    await talk.say("What is my outstanding balance?")

    assert "**$212.07**" in await talk.say("And on card 7730?")
    assert "cannot find a card ending in 1111" in await talk.say("1111 too please")


async def test_a_dispute_is_taken_down_over_several_messages(talk: Talk) -> None:
    first = await talk.say("I want to dispute a charge")
    second = await talk.say("Blue Lagoon Coffee, $42.50")
    third = await talk.say("No, I did not")
    last = await talk.say("Thank you!")

    assert "merchant and the amount" in first
    assert "**$42.50**" in second
    assert "D-20418" in third
    assert "You are welcome" in last


async def test_a_dispute_gives_way_to_another_topic(talk: Talk) -> None:
    await talk.say("There is fraud on my card")
    reply = await talk.say("Never mind, what is my balance on 9016?")

    assert talk.steps[:2] == ["Credit Card Hub", "Outstanding Payments"]
    assert "Business Gold" in reply


async def test_points_are_offered_and_redeemed(talk: Talk) -> None:
    offer = await talk.say("What can I do with my points?")
    done = await talk.say("2")

    assert "18,240 points" in offer
    assert "$100 travel voucher" in done


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Hi there", "Hello and welcome"),
        ("thanks a lot", "You are welcome"),
        ("bye", "Goodbye"),
        ("Can I talk to a human?", "nobody behind it"),
        ("What is the weather in Oslo?", "I can help you with"),
        ("help", "I can help you with"),
        ("Hello, how much do I have to pay?", "outstanding balance of"),
        ("I don't recognise a charge of 19.99", "a charge of **$19.99**"),
    ],
)
async def test_small_talk_and_short_ways_are_understood(talk: Talk, text: str, answer: str) -> None:
    assert answer in await talk.say(text)


async def test_nothing_is_left_to_fill_in_any_reply(talk: Talk) -> None:
    texts = ["hi", "balance", "4821", "dispute", "12.30", "yes", "rewards", "1", "ok", "?", ""]

    assert [reply for text in texts if "{" in (reply := await talk.say(text))] == []

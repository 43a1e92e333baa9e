"""Whole turns against an OpenAI-compatible endpoint that is as strict as the real one."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from gateway.agents.model import Model
from gateway.agents.models import build_models
from gateway.agents.tools.table import ToolTable
from gateway.domain.conversation import Usage
from gateway.domain.models import ModelSpec
from gateway.domain.policy import ModelPolicy
from gateway.domain.turns import HandedOff, TextRestarted, TurnOptions
from gateway.testing.openai import replies as fake
from gateway.testing.openai.endpoint import ModelCall
from gateway.testing.openai.server import OpenAIServer
from tests.agents.builders import RecordingTool, Told, agent, assistant, bot, told, tool, user

QUICK = ModelPolicy(retry_delays_s=(0.01, 0.01), first_byte_s=0.3, idle_s=0.3)
SPEC = tool()
HUB = bot(
    agent("Hub", handoffs=("Payments",)),
    agent("Payments", tools=("get_balance",), control="relinquish_to_parent"),
    tools=[SPEC],
    turn_timeout_s=5,
)


@asynccontextmanager
async def served(
    *answers: fake.Answer | str, script: Callable[[ModelCall], fake.Answer | None] | None = None
) -> AsyncIterator[tuple[OpenAIServer, Model]]:
    async with OpenAIServer(script) as server:
        server.enqueue(*answers)
        spec = ModelSpec(
            name="main", provider="openai", base_url=server.base_url, model="fake-model"
        )
        models: Mapping[str, Model] = build_models({"main": spec}, QUICK)
        try:
            yield server, models["main"]
        finally:
            await models["main"].aclose()


async def ask(model: Model, text: str = "What is my balance?", **settings) -> Told:
    table = ToolTable([(SPEC, RecordingTool('{"amount": 12.5}'))])
    return await told(HUB, [user(text)], model, tools=table, **settings)


@pytest.mark.parametrize("wants_stream", [True, False])
async def test_a_talk_is_handed_over_a_tool_is_called_and_the_person_answered(wants_stream):
    answers = (
        fake.Reply(tool_calls=(fake.ToolCall("transfer_to_payments"),)),
        fake.Reply("Let me see.", tool_calls=(fake.ToolCall("get_balance", {"user_id": "u1"}),)),
        fake.Reply("You owe 12.50."),
    )

    async with served(*answers) as (server, model):
        turn = await ask(model, wants_stream=wants_stream)

        assert server.problems == []
        assert [call.streams for call in server.calls] == [wants_stream] * 3
        assert server.calls[2].messages[-1]["content"] == '{"amount": 12.5}'
    assert turn.external == ["Let me see.", "You owe 12.50."]
    assert turn.of(HandedOff) == [HandedOff("Hub", "Payments")]
    assert turn.finished.next_agent == "Hub"
    assert turn.finished.usage == Usage(30, 15)


async def test_what_a_turn_leaves_can_be_sent_again():
    """Stored messages of one turn make a good request for the next."""
    first = (
        fake.Reply(tool_calls=(fake.ToolCall("transfer_to_payments"),)),
        fake.Reply(tool_calls=(fake.ToolCall("get_balance", {"user_id": "u1"}),)),
        fake.Reply("You owe 12.50."),
    )
    async with served(*first, "You are welcome.") as (server, model):
        turn = await ask(model)
        history = [user("What is my balance?"), *turn.messages, user("Thanks")]

        await told(HUB, history, model)

        assert server.problems == []
        assert [m["role"] for m in server.calls[3].messages] == [
            "system",
            "user",
            "assistant",
            "tool",
            "assistant",
            "user",
        ]


async def test_an_answer_that_breaks_off_is_started_over():
    broken = fake.Truncated(fake.Reply("This is going well."))

    async with served(broken, "All is well.") as (_, model):
        turn = await ask(model)

    assert len(turn.of(TextRestarted)) == 1
    assert turn.external == ["All is well."]


@pytest.mark.parametrize(
    "fault",
    [
        fake.HttpError(500),
        fake.too_many_requests(0),
        fake.Garbage(),
        fake.EmptyChoices(),
        fake.Truncated(fake.Reply("This is going well."), how="end"),
        fake.ErrorEvent(),
        fake.Silence(after=2),
        fake.HangUp(),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_fault_that_stays_fails_the_turn_and_leaves_no_text(fault):
    async with served(script=lambda call: fault) as (server, model):
        turn = await ask(model)

        assert len(server.calls) == 3
    assert turn.messages == []
    assert turn.failed.is_transient


async def test_an_answer_byte_by_byte_ends_with_the_turn():
    drip = fake.Drip(fake.Reply("It goes on and on."), interval_s=0.05)

    async with served(drip) as (_, model):
        turn = await ask(model, options=TurnOptions(timeout_s=0.5))

    assert turn.failed.error.code == "turn_timeout"


async def test_arguments_that_are_no_json_are_told_to_the_model():
    answers = (
        fake.Reply(tool_calls=(fake.ToolCall("transfer_to_payments"),)),
        fake.Reply(tool_calls=(fake.ToolCall("get_balance", '{"user_id": '),)),
        fake.Reply("I could not find it."),
    )

    async with served(*answers) as (server, model):
        turn = await ask(model)

        assert server.calls[2].messages[-1]["content"] == "The arguments are not valid JSON."
        assert server.problems == []
    assert turn.external == ["I could not find it."]


async def test_a_foreign_history_is_repaired_before_it_is_sent():
    history = [
        assistant("Hello, how can I help?"),
        user("Hi"),
        assistant(tool_calls=(), agent="Nobody"),
        user("What now?"),
    ]

    async with served("Nothing.") as (server, model):
        await told(HUB, history, model)

        assert server.problems == []

"""Retries, the circuit breaker and fallback models, on a clock of their own."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence

import pytest

from gateway.agents.breaker import Breaker, Slots
from gateway.agents.failover import Endpoint, FailoverModel
from gateway.agents.model import ModelDone, ModelEvent, ModelRequest, ModelRestarted, ModelText
from gateway.agents.models import build_models
from gateway.domain.models import ModelSpec
from gateway.domain.policy import ModelPolicy
from gateway.domain.scripted import ScriptedRule
from gateway.errors import ConfigError, ModelError
from gateway.testing.models import USAGE, FakeAnswer, FakeModel, Hold

REQUEST = ModelRequest(agent="Desk", messages=[{"role": "user", "content": "Hi"}])
DONE = ModelDone((), USAGE, "fake-model")
DOWN = ModelError("Down.", transient=True, status=500)
BUSY = ModelError("Busy.", transient=True, status=429, retry_after_s=7)
WRONG_KEY = ModelError("Wrong key.", transient=False, status=401)
REFUSED = ModelError("Refused.", transient=False, status=400, code="model_refused_request")


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Failover:
    """A failover over fake models, and what it did."""

    def __init__(self, *scripts: Sequence[FakeAnswer], failures: int = 5, slots: int = 0) -> None:
        self.clock = Clock()
        self.models = [FakeModel(*script) for script in scripts]
        self.endpoints = [
            Endpoint(
                f"model{number}",
                model,
                Breaker(failures=failures, open_s=30, clock=self.clock),
                Slots(slots),
            )
            for number, model in enumerate(self.models)
        ]
        self.model = FailoverModel(
            self.endpoints,
            retry_delays_s=(1, 4, 15, 45),
            sleep=self.clock.sleep,
            clock=self.clock,
        )

    @property
    def asked(self) -> list[int]:
        return [len(model.requests) for model in self.models]

    async def ask(self, request: ModelRequest = REQUEST) -> list[ModelEvent]:
        return [event async for event in self.model.stream(request)]

    async def fail(self, request: ModelRequest = REQUEST) -> ModelError:
        with pytest.raises(ModelError) as caught:
            await self.ask(request)
        return caught.value


def text_of(events: list[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ModelText))


async def test_an_answer_is_passed_through():
    failover = Failover(["Yes, sir."])

    assert await failover.ask() == [ModelText("Yes,"), ModelText(" sir."), DONE]


async def test_a_transient_failure_is_tried_again_at_1_4_15_and_45_seconds():
    failover = Failover([DOWN] * 5, failures=99)

    error = await failover.fail()

    assert error is DOWN
    assert failover.clock.slept == [1, 4, 15, 45]
    assert failover.asked == [5]


async def test_the_first_answer_ends_the_retries():
    failover = Failover([DOWN, DOWN, "Yes."])

    assert text_of(await failover.ask()) == "Yes."
    assert failover.clock.slept == [1, 4]


async def test_a_provider_may_ask_for_a_longer_wait():
    failover = Failover([BUSY, "Yes."])

    await failover.ask()

    assert failover.clock.slept == [7]


async def test_no_wait_reaches_beyond_the_deadline():
    failover = Failover([DOWN, DOWN, DOWN])
    request = ModelRequest(agent="Desk", messages=[], deadline=1003)

    error = await failover.fail(request)

    assert error is DOWN
    assert failover.clock.slept == [1]


@pytest.mark.parametrize("error", [WRONG_KEY, REFUSED])
async def test_a_permanent_failure_is_not_tried_again(error):
    failover = Failover([error])

    assert await failover.fail() is error
    assert failover.clock.slept == []


async def test_an_attempt_that_breaks_after_text_is_announced_as_void():
    failover = Failover([[ModelText("Half"), DOWN], "Whole."])

    events = await failover.ask()

    assert events == [ModelText("Half"), ModelRestarted(), ModelText("Whole."), DONE]


async def test_an_attempt_that_breaks_before_text_is_not():
    failover = Failover([DOWN, "Whole."])

    assert ModelRestarted() not in await failover.ask()


async def test_text_is_voided_once_for_each_attempt_that_gave_some():
    failover = Failover([[ModelText("Half"), DOWN], DOWN, "Whole."])

    events = await failover.ask()

    assert events.count(ModelRestarted()) == 1


class TestFallback:
    async def test_the_fallback_is_asked_at_once(self):
        failover = Failover([DOWN], ["Yes."])

        assert text_of(await failover.ask()) == "Yes."
        assert failover.clock.slept == []

    async def test_rounds_begin_with_the_own_model(self):
        failover = Failover([DOWN, "Yes."], [DOWN])

        assert text_of(await failover.ask()) == "Yes."
        assert failover.asked == [2, 1]

    async def test_a_wrong_key_leads_to_the_fallback(self):
        failover = Failover([WRONG_KEY], ["Yes."])

        assert text_of(await failover.ask()) == "Yes."

    async def test_a_model_with_a_wrong_key_is_not_asked_twice_in_a_call(self):
        failover = Failover([WRONG_KEY], [DOWN, "Yes."])

        await failover.ask()

        assert failover.asked == [1, 2]

    async def test_a_refused_request_is_refused_by_all(self):
        failover = Failover([REFUSED], ["Yes."])

        assert await failover.fail() is REFUSED
        assert failover.asked == [1, 0]

    async def test_text_of_the_own_model_is_void_when_the_fallback_answers(self):
        failover = Failover([[ModelText("Half"), DOWN]], ["Yes."])

        events = await failover.ask()

        assert events[1] == ModelRestarted()


class TestBreaker:
    async def broken(self, *later: FakeAnswer) -> Failover:
        """A model whose breaker has just opened after two failures."""
        failover = Failover([DOWN, DOWN, *later], failures=2)
        at_once = ModelRequest(agent="Desk", messages=[], deadline=1000)
        await failover.fail(at_once)
        await failover.fail(at_once)
        return failover

    async def test_a_model_that_is_down_is_not_asked(self):
        failover = await self.broken()

        error = await failover.fail()

        assert (error.code, error.transient) == ("model_unavailable", True)
        assert error.retry_after_s == 30
        assert failover.asked == [2]
        assert failover.clock.slept == []

    async def test_its_fallback_answers_meanwhile(self):
        failover = Failover([DOWN, DOWN], ["One.", "Two.", "Three."], failures=2)

        for _ in range(3):
            await failover.ask()

        assert failover.asked == [2, 3]

    async def test_after_a_while_one_call_tries_it(self):
        failover = await self.broken("Yes.")
        failover.clock.now += 30

        assert text_of(await failover.ask()) == "Yes."

    async def test_a_good_try_closes_it(self):
        failover = await self.broken("Yes.", "Yes.")
        failover.clock.now += 30
        await failover.ask()

        assert text_of(await failover.ask()) == "Yes."

    async def test_a_bad_try_opens_it_again(self):
        failover = await self.broken(DOWN)
        failover.clock.now += 30
        await failover.fail(ModelRequest(agent="Desk", messages=[], deadline=failover.clock.now))

        assert (await failover.fail()).code == "model_unavailable"

    async def test_only_one_call_tries_it(self):
        hold = Hold("Yes")
        failover = await self.broken(hold)
        failover.clock.now += 30
        trying = asyncio.create_task(failover.ask())
        await asyncio.wait_for(hold.reached.wait(), 5)

        other = await failover.fail()
        hold.release.set()
        await trying

        assert other.code == "model_unavailable"

    async def test_a_try_that_is_cancelled_leaves_room_for_the_next(self):
        hold = Hold("Yes")
        failover = await self.broken(hold, "Yes.")
        failover.clock.now += 30
        trying = asyncio.create_task(failover.ask())
        await asyncio.wait_for(hold.reached.wait(), 5)
        trying.cancel()
        await asyncio.wait({trying}, timeout=5)

        assert text_of(await failover.ask()) == "Yes."

    async def test_a_call_that_gives_up_waiting_for_a_slot_ends_no_try(self):
        hold = Hold("Yes")
        failover = Failover([hold, "No."], failures=1, slots=1)
        endpoint = failover.endpoints[0]
        async with endpoint.slots.one():
            trying, waiting = (asyncio.create_task(failover.ask()) for _ in range(2))
            await asyncio.sleep(0)
            endpoint.breaker.failed()
        await asyncio.wait_for(hold.reached.wait(), 5)
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=5)
        failover.clock.now += 30

        assert (await failover.fail()).code == "model_unavailable"
        hold.release.set()
        await trying

    async def test_being_busy_is_not_being_down(self):
        failover = Failover([BUSY] * 5, failures=2)

        await failover.fail()

        assert failover.asked == [5]

    async def test_answers_between_failures_keep_it_closed(self):
        failover = Failover([DOWN, "Yes.", DOWN, "Yes.", DOWN, "Yes."], failures=2)

        for _ in range(3):
            await failover.ask()

        assert failover.asked == [6]

    async def test_a_reader_that_stops_at_the_end_counts_as_answered(self):
        failover = Failover([DOWN, "Yes.", DOWN, "Yes."], failures=2)
        for _ in range(2):
            stream = failover.model.stream(REQUEST)
            while not isinstance(await anext(stream), ModelDone):
                pass
            await stream.aclose()

        assert failover.asked == [4]

    async def test_a_call_under_way_goes_on_waiting_when_it_opens(self):
        failover = Failover([DOWN, DOWN, "Yes."], failures=2)

        assert text_of(await failover.ask()) == "Yes."
        assert failover.clock.slept == [1, 4, 15, 45]


async def test_only_so_many_calls_are_out_at_once():
    hold = Hold("One")
    failover = Failover([hold, "Two."], slots=1)
    first = asyncio.create_task(failover.ask())
    await asyncio.wait_for(hold.reached.wait(), 5)
    second = asyncio.create_task(failover.ask())
    await asyncio.sleep(0)

    assert failover.asked == [1]
    hold.release.set()
    await asyncio.gather(first, second)
    assert failover.asked == [2]


def scripted(name: str, **settings) -> ModelSpec:
    rules = (ScriptedRule(reply=f"I am {name}."),)
    return ModelSpec(name=name, provider="scripted", **{"rules": rules, **settings})


async def test_used_models_are_built_with_their_fallbacks():
    specs = {
        "a": scripted("a", fallback=("b",)),
        "b": scripted("b", fallback=("c",)),
        "c": scripted("c"),
    }

    models = build_models(specs, ModelPolicy(), used=["a"])

    assert sorted(models) == ["a", "b"]


async def test_a_fallback_answers_for_a_model_that_is_not_there():
    broken = ModelSpec(
        name="a", provider="openai", base_url="http://127.0.0.1:9/v1", model="m", fallback=("b",)
    )

    models = build_models({"a": broken, "b": scripted("b")}, ModelPolicy())
    events = [event async for event in models["a"].stream(REQUEST)]
    for model in models.values():
        await model.aclose()

    assert text_of(events) == "I am b."


async def test_a_model_that_is_not_configured_is_a_configuration_error():
    with pytest.raises(ConfigError, match="'x'"):
        build_models({"a": scripted("a", fallback=("x",))}, ModelPolicy())


def test_a_configuration_of_scripted_models_never_imports_openai():
    code = """
import asyncio, sys
from gateway.agents.models import build_models
from gateway.domain.models import ModelSpec
from gateway.domain.policy import ModelPolicy
async def main():
    build_models({"a": ModelSpec(name="a", provider="scripted")}, ModelPolicy())
asyncio.run(main())
print("openai" in sys.modules, "httpx2" in sys.modules)
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "False"]

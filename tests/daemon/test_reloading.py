"""Reloading in this process, over a real store: what is told, and that nothing ends the loop."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from structlog.testing import capture_logs

from gateway.config.load import load
from gateway.daemon.in_force import InForce, Setup
from gateway.daemon.parts import Flow, build
from gateway.daemon.reloading import Reloader
from gateway.domain.ids import ProjectId
from gateway.http_client import HttpClient
from gateway.registry import Registry
from gateway.store.open import open_store
from gateway.store.protocol import Store
from gateway.testing.models import FakeModel
from tests.daemon.test_in_force import CONFIG
from tests.flow.house import FlakyStore, until

Lines = Sequence[MutableMapping[str, Any]]


@dataclass
class Running:
    """Parts that were built, with a reloader at work on them."""

    flow: Flow
    model: FakeModel
    store: FlakyStore
    path: Path
    asked: asyncio.Event
    told: Lines

    async def reload(self, text: str, *, outcome: str) -> MutableMapping[str, Any]:
        """Write the file, ask, and wait for that line."""
        before = len(self._lines(outcome))
        self.path.write_text(text)
        self.asked.set()
        await until(lambda: len(self._lines(outcome)) > before)
        return self._lines(outcome)[-1]

    @property
    def greeting(self) -> str:
        """What the bot in force says first."""
        bot = self.flow.current().bot(ProjectId("default"), "support")
        return bot.greeting if bot else ""

    def _lines(self, event: str) -> Lines:
        return [line for line in self.told if line["event"] == event]


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Running]:
    """A reloader at work."""
    path, asked, registry = folder / "config.toml", asyncio.Event(), Registry({})
    path.write_text(CONFIG)
    config = load(path)
    with capture_logs() as told:
        async with open_store(config.settings.store.url, lock=True) as store:
            flaky = FlakyStore(store)
            building = build(config, cast(Store, flaky), registry=registry, runs_turns=True)
            async with building as parts, aclosing(HttpClient()) as http:
                flow, model = _with_fake_model(parts.flow, flaky, http=http)
                reloader = Reloader(flow, registry=registry, asked=asked)
                loop = asyncio.create_task(reloader.run())
                yield Running(flow, model, flaky, path, asked, told)
                loop.cancel()
                with suppress(asyncio.CancelledError):
                    await loop


def _with_fake_model(flow: Flow, store: FlakyStore, *, http: HttpClient) -> tuple[Flow, FakeModel]:
    """The same with a model that tells whether it was closed."""
    old, model = flow.in_force, FakeModel()
    setup = Setup(
        config=old.config, catalogue=old.catalogue(), models={"demo": model}, think=old.think()
    )
    in_force = InForce(setup, cast(Store, store), http=http)
    return replace(flow, in_force=in_force), model


def greeting(text: str) -> str:
    """The configuration with another greeting."""
    return CONFIG.replace('model = "demo"', f'model = "demo"\ngreeting = "{text}"')


async def test_changes_are_in_force_when_they_are_told(tmp_path: Path) -> None:
    async with running(tmp_path) as home:
        line = await home.reload(greeting("Hi."), outcome="configuration_reloaded")

        assert (line["log_level"], line["changes"]) == ("info", ["bots.support changed"])
        assert home.greeting == "Hi."


async def test_a_store_that_is_away_changes_nothing_and_does_not_end_the_loop(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as home:
        home.store.away["bot_version"] = 1
        line = await home.reload(greeting("Hi."), outcome="reload_refused")
        refused = home.greeting

        await home.reload(greeting("Hi."), outcome="configuration_reloaded")

        assert line["problems"] == ["The store is away."]
        assert (refused, home.greeting) == ("How can I help you today?", "Hi.")


async def test_an_unexpected_error_changes_nothing_and_does_not_end_the_loop(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as home:
        home.store.away["bot_version"] = 1
        home.store.errors["bot_version"] = ZeroDivisionError()
        line = await home.reload(greeting("Hi."), outcome="reload_broke")
        refused = home.greeting

        await home.reload(greeting("Hi."), outcome="configuration_reloaded")

        assert line["log_level"] == "error"
        assert (refused, home.greeting) == ("How can I help you today?", "Hi.")


async def test_every_problem_of_a_broken_file_is_told(tmp_path: Path) -> None:
    async with running(tmp_path) as home:
        broken = greeting("Hi.").replace("scripted", "scriptde").replace("slug", "slog")

        line = await home.reload(broken, outcome="reload_refused")

        places = [problem.split(": ")[1] for problem in line["problems"]]
        assert places == ["models.demo.provider", "bots.slug", "bots.slog"]


async def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as home:
        moved = tmp_path / "elsewhere"
        home.path.rename(moved)
        home.path.symlink_to(tmp_path / "nowhere" / "config.toml")
        home.path = moved

        line = await home.reload(greeting("Hi."), outcome="reload_refused")

        assert "there is no such file" in line["problems"][0]


async def test_what_waits_is_told_as_a_warning(tmp_path: Path) -> None:
    async with running(tmp_path) as home:
        text = CONFIG + "[limits]\nturns = 3\n"

        line = await home.reload(text, outcome="restart_needed")

        assert (line["log_level"], line["waiting"]) == ("warning", ["limits.turns changed"])


async def test_models_that_nobody_asks_any_more_are_closed(tmp_path: Path) -> None:
    async with running(tmp_path) as home:
        await home.reload(CONFIG.replace("Hello.", "Hi."), outcome="configuration_reloaded")

        await until(lambda: home.model.is_closed)


async def test_models_stay_open_when_only_a_bot_changes(tmp_path: Path) -> None:
    async with running(tmp_path) as home:
        await home.reload(greeting("Hi."), outcome="configuration_reloaded")
        await home.reload(greeting("Hello!"), outcome="configuration_reloaded")

        assert not home.model.is_closed

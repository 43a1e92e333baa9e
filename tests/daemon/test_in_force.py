"""The configuration in force is replaced as a whole, and models are closed when they may be."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.values import DEFAULT_PROJECT, Config
from gateway.daemon.in_force import InForce, Setup, put_in_force
from gateway.errors import ConfigError
from gateway.http_client import HttpClient
from gateway.registry import Registry
from gateway.store.open import open_store
from gateway.store.protocol import Store
from gateway.testing.models import FakeModel

CONFIG = """
[models.demo]
provider = "scripted"

[[models.demo.rules]]
reply = "Hello."

[[bots]]
slug = "support"
model = "demo"

[[bots.agents]]
name = "Desk"
"""
BROKEN_TOOL = """
[tools.lookup]
kind = "client"
parameters = { type = "object", properties = { a = { type = "nonsense" } } }
"""


@dataclass
class Office:
    """A configuration in force over a real store; its models are fakes that tell when closed."""

    in_force: InForce
    model: FakeModel
    store: Store
    folder: Path

    async def replace(self, *changes: tuple[str, str], more: str = "") -> Sequence[str] | None:
        """Put the changed file in force; the names of the models given back."""
        given = await self.in_force.replace(_config(self.folder, *changes, more=more))
        return None if given is None else [*given]

    @property
    def version(self) -> int:
        """The running number of the bot in force."""
        bot = self.in_force.catalogue().bot(DEFAULT_PROJECT, "support")
        assert bot is not None
        return bot.version


def _config(folder: Path, *changes: tuple[str, str], more: str = "") -> Config:
    text = more + CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "config.toml"
    path.write_text(text)
    return load(path)


@asynccontextmanager
async def office(folder: Path) -> AsyncIterator[Office]:
    """An office that is open."""
    config = _config(folder)
    http = HttpClient()
    async with open_store(config.settings.store.url, lock=True) as store:
        first = await put_in_force(config, store, registry=Registry({}), http=http)
        model = FakeModel()
        setup = Setup(
            config=config,
            catalogue=first.catalogue(),
            models={"demo": model},
            think=first.think(),
        )
        in_force = InForce(setup, store, http=http)
        try:
            yield Office(in_force, model, store, folder)
        finally:
            await in_force.aclose()
            await first.aclose()
            await http.aclose()


async def test_models_that_did_not_change_stay_as_they_are(tmp_path: Path) -> None:
    async with office(tmp_path) as home:
        given = await home.replace(('"Desk"', '"Reception"'))

        assert given is None
        assert not home.model.is_closed
        assert home.version == 2


async def test_models_that_changed_are_given_back_open(tmp_path: Path) -> None:
    async with office(tmp_path) as home:
        given = await home.replace(("Hello.", "Good day."))

        assert given == ["demo"]
        assert not home.model.is_closed


async def test_models_given_back_can_be_closed_before_the_end(tmp_path: Path) -> None:
    async with office(tmp_path) as home:
        given = await home.in_force.replace(_config(tmp_path, ("Hello.", "Good day.")))
        assert given is not None

        await home.in_force.close(given)

        assert home.model.is_closed


async def test_all_models_are_closed_at_the_end_at_the_latest(tmp_path: Path) -> None:
    async with office(tmp_path) as home:
        await home.replace(("Hello.", "Good day."))
        await home.replace(("Hello.", "Good evening."))

    assert home.model.is_closed


async def test_a_tool_that_cannot_be_run_changes_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as home:
        before = home.in_force.catalogue(), home.in_force.think(), home.in_force.config

        with pytest.raises(ConfigError, match="lookup"):
            await home.replace(
                ('name = "Desk"', 'name = "Desk"\ntools = ["lookup"]'), more=BROKEN_TOOL
            )
        after = home.in_force.catalogue(), home.in_force.think(), home.in_force.config

        assert after == before
        await home.replace(('"Desk"', '"Reception"'))
        assert home.version == 2

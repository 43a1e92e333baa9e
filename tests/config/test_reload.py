"""What a changed file does to a running gateway: decided from two configurations alone."""

from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.reload import KEPT_TABLES, Plan, plan_reload
from gateway.config.settings import Settings
from gateway.config.values import Config
from gateway.errors import ConfigError

BASE = """
[server]
listen = "127.0.0.1:8080"

[log]
level = "info"

[models.demo]
provider = "scripted"

[models.big]
provider = "openai"
model = "big-1"
api_key = "sk-very-secret"

[tools.lookup]
kind = "client"

[[bots]]
slug = "support"
default = true
model = "demo"

[[bots.agents]]
name = "Desk"
tools = ["lookup"]

[[bots]]
slug = "sales"
model = "big"

[[bots.agents]]
name = "Shop"

[[channels]]
name = "tg"
kind = "telegram"
bot = "support"
token = "123:first-token"
"""
SALES = BASE[BASE.index('[[bots]]\nslug = "sales"') : BASE.index("[[channels]]")]
CHANNEL = BASE[BASE.index("[[channels]]") :]


class Reload:
    """A gateway that runs with `BASE`, and what becomes of changes to that file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "config.toml"

    def config(self, text: str) -> Config:
        """That text as a configuration."""
        self._path.write_text(text)
        self._path.chmod(0o600)
        return load(self._path, environment={})

    def plan(self, *changes: tuple[str, str], base: str = BASE) -> Plan:
        """The plan when these texts are replaced."""
        text = base
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return plan_reload(self.config(base), self.config(text))


@pytest.fixture
def reload(tmp_path: Path) -> Reload:
    """A configuration file that is going to change."""
    return Reload(tmp_path)


def test_an_unchanged_file_changes_nothing(reload: Reload) -> None:
    plan = reload.plan()

    assert (plan.changes, plan.waiting) == ((), ())


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ('"Desk"', '"Reception"', "bots.support changed"),
        (SALES, "", "bots.sales removed"),
        ("[[channels]]", SALES.replace("sales", "news") + "[[channels]]", "bots.news added"),
        ('"big-1"', '"big-2"', "models.big changed"),
        ("sk-very-secret", "sk-other-secret", "models.big changed"),
        ('kind = "client"', 'kind = "client"\ntimeout_s = 5', "tools.lookup changed"),
        ('"info"', '"debug"', "log.level changed"),
    ],
)
def test_what_turns_are_made_of_changes_at_once(
    reload: Reload, old: str, new: str, change: str
) -> None:
    plan = reload.plan((old, new))

    assert (plan.changes, plan.waiting) == ((change,), ())


@pytest.mark.parametrize(
    ("line", "change"),
    [
        ('access = "allow"', "channels.tg.access changed"),
        ('allow = ["7"]', "channels.tg.allow changed"),
        ("debounce_s = 2", "channels.tg.debounce_s changed"),
        ('when_busy = "collect"', "channels.tg.when_busy changed"),
        ('live = "off"', "channels.tg.live changed"),
        ('on_ambiguous = "hold"', "channels.tg.on_ambiguous changed"),
        ("required = true", "channels.tg.required changed"),
    ],
)
def test_how_a_channel_is_used_changes_at_once(reload: Reload, line: str, change: str) -> None:
    plan = reload.plan((CHANNEL, f"{CHANNEL}{line}\n"))

    assert (plan.changes, plan.waiting) == ((change,), ())


def test_another_bot_answers_on_a_channel_at_once(reload: Reload) -> None:
    plan = reload.plan(('bot = "support"', 'bot = "sales"'))

    assert plan.changes == ("channels.tg.bot changed",)
    assert [channel.bot for channel in plan.config.channels()] == ["sales"]


@pytest.mark.parametrize(
    ("old", "new", "waits"),
    [
        ("8080", "9090", "server.listen changed"),
        ("[log]", f'secret = "{"s" * 32}"\n[log]', "server.secret changed"),
        ("[log]", "drain_s = 5\n[log]", "server.drain_s changed"),
        ("[log]", '[store]\nurl = "sqlite:other.db"\n[log]', "store.url changed"),
        ("[log]", '[log]\nformat = "json"', "log.format changed"),
        ("[log]", "[surfaces]\ntalk = false\n[log]", "surfaces.talk changed"),
        ("[log]", "[limits]\nturns = 3\n[log]", "limits.turns changed"),
        ("[log]", "[retention]\nmessages_days = 3\n[log]", "retention.messages_days changed"),
        ("first-token", "second-token", "channels.tg.token changed"),
        ('"telegram"', '"pigeon"', "channels.tg.kind changed"),
        (CHANNEL, f"{CHANNEL}poll_s = 3\n", "channels.tg.poll_s added"),
        (CHANNEL, f"{CHANNEL}enabled = false\n", "channels.tg.enabled changed"),
        (CHANNEL, "", "channels.tg removed"),
        (CHANNEL, CHANNEL + CHANNEL.replace("tg", "two"), "channels.two added"),
    ],
)
def test_what_is_made_at_start_waits_for_a_restart(
    reload: Reload, old: str, new: str, waits: str
) -> None:
    plan = reload.plan((old, new))

    assert (plan.changes, plan.waiting) == ((), (waits,))


def test_it_is_decided_for_every_table_when_it_changes() -> None:
    at_once = {"workspaces", "projects", "bots", "tools", "models", "transcription"}
    in_part = {"log", "channels"}

    assert {*KEPT_TABLES} | at_once | in_part == set(Settings.model_fields)


def test_what_waits_is_not_in_force(reload: Reload) -> None:
    plan = reload.plan(("8080", "9090"), ("first-token", "second-token"), ('"Desk"', '"Shop"'))

    settings = plan.config.settings
    assert settings.server.listen == "127.0.0.1:8080"
    assert [channel.own for channel in plan.config.channels()] == [{"token": "123:first-token"}]
    assert [bot.start_agent for bot in plan.config.bots()] == ["Shop", "Shop"]


def test_what_waits_is_named_again_until_the_restart(reload: Reload) -> None:
    first = reload.plan(("8080", "9090"))
    fresh = reload.config(BASE.replace("8080", "9090").replace('"Desk"', '"Reception"'))

    second = plan_reload(first.config, fresh)

    assert second.changes == ("bots.support changed",)
    assert second.waiting == ("server.listen changed",)


def test_a_change_that_was_taken_back_does_not_wait_any_more(reload: Reload) -> None:
    first = reload.plan(("8080", "9090"))

    second = plan_reload(first.config, reload.config(BASE))

    assert (second.changes, second.waiting) == ((), ())


def test_a_channel_that_is_and_stays_off_waits_for_nothing(reload: Reload) -> None:
    off = f"{BASE}enabled = false\n"

    plan = reload.plan(("first-token", "second-token"), base=off)

    assert (plan.changes, plan.waiting) == (("channels.tg.token changed",), ())


def test_a_channel_that_is_switched_on_waits(reload: Reload) -> None:
    off = f"{BASE}enabled = false\n"

    plan = reload.plan(("enabled = false", "enabled = true"), base=off)

    assert (plan.changes, plan.waiting) == ((), ("channels.tg.enabled changed",))


def test_the_bot_of_a_channel_that_still_runs_cannot_go(reload: Reload) -> None:
    with pytest.raises(ConfigError) as caught:
        reload.plan((CHANNEL, ""), ("support", "helpdesk"))

    [problem] = caught.value.problems
    assert 'channel "tg"' in problem
    assert 'bot "support"' in problem


def test_no_value_of_the_file_is_told(reload: Reload) -> None:
    plan = reload.plan(("sk-very-secret", "sk-other-secret"), ("first-token", "second-token"))

    told = " ".join((*plan.changes, *plan.waiting))
    assert "secret" not in told
    assert "123:" not in told

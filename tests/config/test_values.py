"""What the rest of the gateway is handed: bots, models, channels, policy, projects."""

import json
from dataclasses import replace
from uuid import UUID

import pytest

from gateway.config.digest import bot_digest, bot_document
from gateway.domain.bots import Bot
from tests.config.conftest import BOT, ConfigFile

FULL = """
[models.demo]
provider = "scripted"
[[models.demo.rules]]
text = "hi (.*)"
reply = "Hello {1}"
[tools.pay]
kind = "http"
url = "https://bank.example/pay"
headers = { Authorization = "Bearer canary" }
access = "write"
idempotent = true
[tools.other]
kind = "client"
[[workspaces]]
id = "acme"
plan = "pro"
[[projects]]
id = "shop"
workspace = "acme"
name = "The shop"
[[projects]]
id = "blog"
[[bots]]
slug = "desk"
project = "shop"
session_idle_h = 0.5
turn_timeout_s = 20
model = "demo"
[[bots.agents]]
name = "Hub"
handoffs = ["Pay"]
[[bots.agents]]
name = "Pay"
tools = ["pay"]
control = "relinquish_to_parent"
temperature = 1
parameters = { seed = 7 }
[[channels]]
name = "tg"
kind = "telegram"
bot = "desk"
access = "allow"
allow = ["17"]
token = "1:canary"
live = "off"
"""


@pytest.fixture
def bot(config_file: ConfigFile) -> Bot:
    """The one bot of the file above."""
    return config_file.read(FULL).bots()[0]


def test_a_bot_has_its_agents_and_only_the_tools_they_use(bot: Bot) -> None:
    assert (bot.project_id, bot.name, bot.start_agent) == ("shop", "desk", "Hub")
    assert list(bot.agents) == ["Hub", "Pay"]
    assert list(bot.tools) == ["pay"]
    assert bot.tools["pay"].target == "https://bank.example/pay"
    assert bot.tools["pay"].is_idempotent is True
    assert bot.agents["Pay"].parameters == {"seed": 7}
    assert bot.agents["Pay"].model == "demo"
    assert (bot.session_idle_s, bot.turn_timeout_s) == (1800, 20)


def test_the_only_bot_of_a_project_is_its_default(bot: Bot) -> None:
    assert bot.is_default is True


def test_a_bot_that_is_not_the_only_one_is_default_when_it_says_so(config_file: ConfigFile) -> None:
    second = BOT[BOT.index("[[bots]]") :].replace('"support"', '"sales"\ndefault = true')

    bots = config_file.read(BOT + second).bots()

    assert [(bot.slug, bot.is_default) for bot in bots] == [("support", False), ("sales", True)]


def test_the_uuid_left_out_is_derived_from_the_slug_for_ever(config_file: ConfigFile) -> None:
    assert config_file.read(BOT).bots()[0].uuid == UUID("58100150-2cce-5b7c-aaa5-b255e7cd2ae9")


def test_a_uuid_that_is_given_is_kept(config_file: ConfigFile) -> None:
    uuid = "1f0e7c1a-0000-4000-8000-000000000001"
    config = config_file.read(BOT.replace('"support"', f'"support"\nid = "{uuid}"'))

    assert config.bots()[0].uuid == UUID(uuid)


def test_a_rule_of_the_scripted_model_arrives(config_file: ConfigFile) -> None:
    (rule,) = config_file.read(FULL).models()["demo"].rules

    assert (rule.text, rule.reply, rule.delay_s) == ("hi (.*)", "Hello {1}", 0)


def test_an_openai_model_has_the_public_address_by_default(config_file: ConfigFile) -> None:
    text = BOT.replace('"scripted"', '"openai"\nmodel = "m"')

    model = config_file.read(text).models()["demo"]

    assert (model.base_url, model.api_key) == ("https://api.openai.com/v1", None)


def test_a_channel_keeps_its_own_keys_raw_and_hidden(config_file: ConfigFile) -> None:
    (channel,) = config_file.read(FULL).channels()

    assert channel.own == {"token": "1:canary"}
    assert (channel.project_id, channel.bot, channel.access) == ("shop", "desk", "allow")
    assert channel.allow == frozenset({"17"})
    assert "canary" not in repr(channel)


def test_projects_know_their_workspace_and_workspaces_their_plan(config_file: ConfigFile) -> None:
    config = config_file.read(FULL)

    assert [(p.id, p.workspace, p.name) for p in config.projects()] == [
        ("shop", "acme", "The shop"),
        ("blog", "default", "blog"),
    ]
    assert [(w.id, w.plan) for w in config.workspaces()] == [
        ("acme", "pro"),
        ("default", "enterprise"),
    ]


def test_limits_reach_the_policy(config_file: ConfigFile) -> None:
    policy = config_file.read(
        "limits = { requests_per_minute = 0, queued_per_session = 3, body_bytes = 9 }\n"
        "retention = { messages_days = 2.5 }\nserver.drain_s = 4\nstore.min_free_bytes = 0\n"
    ).policy()

    assert policy.callers.requests_per_minute == 0
    assert policy.callers.body_bytes == 9
    assert policy.queue.queued_per_session == 3
    assert policy.retention.messages_days == 2.5
    assert (policy.drain_s, policy.min_free_bytes) == (4, 0)


def test_equal_bots_have_equal_digests_whatever_their_version(
    bot: Bot, config_file: ConfigFile
) -> None:
    again = config_file.read(FULL).bots()[0]

    assert bot_digest(replace(again, version=7)) == bot_digest(bot)


def test_a_change_of_anything_changes_the_digest(bot: Bot) -> None:
    assert bot_digest(replace(bot, greeting="Hi")) != bot_digest(bot)


def test_the_document_of_a_bot_is_json_without_secrets(bot: Bot) -> None:
    text = json.dumps(bot_document(bot))

    assert "canary" not in text
    assert bot_document(bot)["tools"]["pay"]["headers"] == ["Authorization"]


def test_web_origins_are_kept_as_browsers_write_them(config_file: ConfigFile) -> None:
    config = config_file.read(BOT + '[server]\ncors_origins = ["HTTPS://Shop.example:443"]\n')

    assert config.settings.server.cors_origins == ("https://shop.example",)

"""The demo of config.example.toml: it runs as it is, and on a real model by two variables.

That every setting stands in the file, with its true default, is held elsewhere
(`tests/test_example_settings.py`).
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config.load import load
from gateway.demo import get_outstanding_balance
from gateway.errors import ConfigError
from gateway.registry import Registry
from tests.config.conftest import ConfigFile

EXAMPLE = Path(__file__).parent.parent.parent / "config.example.toml"
REGISTRY = Registry()
VARIABLES = {
    "OPENAI_API_KEY": "sk-x",
    "VLLM_MODEL": "m",
    "TELEGRAM_BOT_TOKEN": "1:x",
    "TELEGRAM_SECRET": "x",
    "SLACK_SIGNING_SECRET": "x" * 32,
    "SLACK_APP_TOKEN": "xapp-1-A0-1-x",
    "SLACK_CLIENT_SECRET": "x" * 32,
    "BANK_TOOL_TOKEN": "x",
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "x",
    "TWILIO_OLD_AUTH_TOKEN": "x",
    "TWILIO_SHARED_KEY": "x",
    "BOT_GATEWAY_SECRET": "x" * 40,
}
"""What the settings that are left out in the example ask for."""


def everything_set(text: str) -> str:
    """The example with every "#" in front of a setting or a table taken away.

    But one: a Slack app has a `bot_token` or a `client_id`, never both.
    """
    return re.sub(r"^#(?=[\w\[])(?!bot_token)", "", text, flags=re.MULTILINE)


def test_the_example_runs_as_it_is_with_no_variable_set() -> None:
    config = load(
        EXAMPLE,
        settings_model_of=REGISTRY.settings_model,
        imports_functions=True,
        environment={},
    )

    (bot,) = config.bots()

    assert (bot.slug, bot.name) == ("support", "Credit Card Support")
    assert bot.post_process is not None
    assert set(config.models()) == {"demo"}
    assert config.channels() == ()


def test_every_setting_can_be_set_at_once(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(everything_set(EXAMPLE.read_text()))

    config = load(path, settings_model_of=REGISTRY.settings_model, environment=VARIABLES)

    names = [channel.name for channel in config.channels()]
    assert names == ["tg", "slack", "sms", "whatsapp", "site"]
    assert "send_statement" in config.settings.tools


@pytest.mark.parametrize(
    ("environment", "model", "base_url"),
    [
        (
            {"BOT_GATEWAY_MODEL": "openai", "OPENAI_API_KEY": "sk-x"},
            "gpt-4o-mini",
            "https://api.openai.com/v1",
        ),
        (
            {"BOT_GATEWAY_MODEL": "ollama", "OLLAMA_MODEL": "qwen3"},
            "qwen3",
            "http://127.0.0.1:11434/v1",
        ),
        (
            {"BOT_GATEWAY_MODEL": "vllm", "VLLM_MODEL": "Qwen/Qwen3-8B"},
            "Qwen/Qwen3-8B",
            "http://127.0.0.1:8000/v1",
        ),
    ],
)
def test_two_variables_put_the_demo_on_a_real_model(
    environment: Mapping[str, str], model: str, base_url: str
) -> None:
    config = load(EXAMPLE, environment=environment)

    (used,) = config.models().values()

    assert {agent.model for agent in config.bots()[0].agents.values()} == {used.name}
    assert (used.provider, used.model, used.base_url) == ("openai", model, base_url)


def test_the_tool_of_the_demo_answers_from_its_table() -> None:
    assert get_outstanding_balance(card="7730")["balance"] == "$212.07"
    assert "9016" in get_outstanding_balance(card="1234")["error"]


SET = everything_set(EXAMPLE.read_text()).splitlines()
LINES_WITH_A_VALUE = [number for number, line in enumerate(SET) if re.match(r'\w+ = (?!""")', line)]
WRONG_VALUES = [
    *("3", "-1", "1e400", "nan", "true", '""', '"x"', '"env:"', '"env:NOT_SET"', "[]", "[[]]"),
    *("[3]", "{}", "{ a = 1 }", '["env:NOT_SET"]', "1979-05-27", "07:32:00", '"file:/nowhere"'),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(number=st.sampled_from(LINES_WITH_A_VALUE), value=st.sampled_from(WRONG_VALUES))
def test_a_wrong_value_anywhere_is_refused_in_words_or_means_something(
    config_file: ConfigFile, number: int, value: str
) -> None:
    key = SET[number].partition(" = ")[0]
    text = "\n".join([*SET[:number], f"{key} = {value}", *SET[number + 1 :]])

    try:
        config = config_file.read(
            text, settings_model_of=REGISTRY.settings_model, environment=VARIABLES
        )
    except ConfigError as error:
        problems = error.problems
    else:
        problems = ()
        assert config.bots()
        assert REGISTRY.bind(config.channels(), public_url=config.settings.server.shown_url)

    for problem in problems:
        assert re.match(rf"{config_file.path}:\d+: [\w.]+: ", problem), problem

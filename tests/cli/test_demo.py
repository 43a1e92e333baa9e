"""What `serve --demo` prints, and which keys it closes."""

import json
import shlex
from pathlib import Path

import pytest

from gateway.cli.demo import announce, curl_line, default_bot, fresh_key, real_model
from gateway.config.load import load
from gateway.config.values import Config
from gateway.daemon.beside import beside
from gateway.domain.ids import ProjectId
from gateway.service.keys import NewKey
from tests.cli.conftest import CONFIG

DEMO = ProjectId("demo")
EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The configuration of these tests."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return load(path)


def test_the_curl_line_is_one_line_that_a_shell_understands(config: Config) -> None:
    line = curl_line("http://127.0.0.1:8080", config.bots()[0], key="gw_sk_x")

    words = shlex.split(line)
    assert "\n" not in line
    assert words[:3] == ["curl", "-sS", "http://127.0.0.1:8080/v1/chat"]
    assert "Authorization: Bearer gw_sk_x" in words
    assert json.loads(words[-1]) == {"bot": "support", "input": "What is my outstanding balance?"}


def test_plain_lines_are_printed_where_no_terminal_is(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(config, config.bots()[0], key="gw_sk_x")

    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "Chat page: http://127.0.0.1:8080/talk/support\n" in out
    assert "\n  REST: curl -sS " in out
    assert " chat support --config " in out


def test_no_page_is_named_that_is_not_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG + "[surfaces]\ntalk = false\n")
    config = load(path)

    announce(config, config.bots()[0], key="gw_sk_x")

    assert "/talk/" not in capsys.readouterr().out


def test_the_example_is_put_on_a_real_model_by_two_variables(config: Config) -> None:
    example, own = real_model(load(EXAMPLE, environment={})), real_model(config)

    assert example is not None
    assert example.startswith("BOT_GATEWAY_MODEL=openai OPENAI_API_KEY=sk-... make run")
    assert own is not None
    assert 'provider = "openai"' in own


def test_nothing_is_advised_where_a_real_model_answers() -> None:
    environment = {"BOT_GATEWAY_MODEL": "openai", "OPENAI_API_KEY": "sk-test"}

    assert real_model(load(EXAMPLE, environment=environment)) is None


def test_a_newcomer_meets_the_default_bot(config: Config, tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.write_text("")

    found = default_bot(config)

    assert found is not None
    assert found.slug == "support"
    assert default_bot(load(empty)) is None


async def test_only_the_former_demo_key_is_closed(config: Config) -> None:
    async with beside(config) as desk:
        mine = await desk.keys.create(DEMO, NewKey(name="demo", owner="ann@example.com"))
        other = await desk.keys.create(DEMO, NewKey(name="website"))
        first = await fresh_key(desk.keys, DEMO)
        second = await fresh_key(desk.keys, DEMO)

        keys = await desk.keys.keys(DEMO)

    assert first != second
    still_open = {key.id for key in keys if key.revoked_at is None}
    assert still_open == {mine.key.id, other.key.id, keys[-1].id}

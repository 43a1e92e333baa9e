"""Reading a file: what is refused, with which line and which remedy."""

from pathlib import Path

import pytest

from gateway.config.load import find_config, load
from gateway.errors import ConfigError
from tests.config.conftest import BOT, ConfigFile


def test_an_empty_file_gives_the_documented_defaults(config_file: ConfigFile) -> None:
    config = config_file.read("")

    assert config.settings.server.address == ("127.0.0.1", 8080)
    assert config.settings.server.admin_address == ("127.0.0.1", 8081)
    assert config.settings.store.file == config_file.path.parent / "data/gateway.db"
    assert config.policy().queue.queued_per_session == 20
    assert [project.id for project in config.projects()] == ["default"]


def test_a_missing_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.toml: there is no such file; .*--config"):
        load(tmp_path / "no.toml")


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a directory"):
        load(tmp_path)


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"[log]\nlevel = '\xff'\n")

    with pytest.raises(ConfigError, match=r"config\.toml:2: not UTF-8"):
        load(path)


def test_the_mark_that_some_editors_put_first_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b'\xef\xbb\xbf[log]\nlevel = "debug"\n')

    assert load(path).settings.log.level == "debug"


def test_broken_toml_is_told_with_line_and_column(config_file: ConfigFile) -> None:
    (problem,) = config_file.problems("[server]\nlisten = 127.0.0.1:80\n")

    assert problem.startswith("2:")
    assert "not valid TOML" in problem
    assert "quotes" in problem


def test_toml_that_breaks_off_is_told_with_its_last_line(config_file: ConfigFile) -> None:
    (problem,) = config_file.problems('[server]\nlisten = "127')

    assert problem.startswith("2:")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[server]\n\nlistne = "x"',
            '3: server.listne: this version knows no such key; did you mean "listen"?',
        ),
        (
            "[sever]",
            '1: sever: this version knows no such key; did you mean "server"?',
        ),
        (
            "[server]\nrequests_per_minute = 3",
            "2: server.requests_per_minute: this version knows no such key; it belongs to [limits]",
        ),
        (
            "[billing]",
            '1: billing: this version knows no such key; the nearest valid key is "log"',
        ),
        (
            '[server]\ndrain_s = "90"',
            "2: server.drain_s: must be a number",
        ),
        (
            "[server]\ntrusted_proxies = [\n  '10.0.0.0/8',\n  '10.x',\n]",
            '4: server.trusted_proxies: must be an address or a network, like "10.0.0.0/8"',
        ),
        (
            "[log]\nlevel = 'loud'",
            '2: log.level: must be one of "debug", "info", "warning" or "error"',
        ),
        (
            "[log]\nlevel = 1979-05-27",
            '2: log.level: must be one of "debug", "info", "warning" or "error"',
        ),
        (
            "[[workspaces]]\nid = 'a'\nname = 1979-05-27",
            '3: workspaces.name: must be text in quotes, or "env:NAME", "file:PATH", "cred:NAME"',
        ),
        ("[log]\ncontent = 1", "2: log.content: must be true or false"),
        ("[limits]\nturns = 0", "2: limits.turns: must be at least 1"),
        ("[limits]\nturns = 1.5", "2: limits.turns: must be a whole number"),
        ("[retention]\ninbox_days = nan", "2: retention.inbox_days: must be a finite number"),
        ("server = 3", "1: server: must be a table"),
        ("[bots]", "1: bots: must be an array"),
        (
            "[[bots]]\n[[bots.agents]]\nname = 'A'\nmodel = 'm'\n",
            "1: bots.slug: is missing and has no default",
        ),
        (
            "[surfaces]\nrowboat = true",
            "2: surfaces.rowboat: is not served by this version; set it to false or leave it out",
        ),
        (
            "[store]\nurl = 'postgresql://user@host/db'",
            '2: store.url: this version keeps its data in SQLite only: write "sqlite:PATH"',
        ),
        (
            "[store]\nurl = 'sqlite::memory:'",
            "2: store.url: what is accepted must be kept: the store needs a file on disk",
        ),
        (
            "[server]\nlisten = ':8080'",
            '2: server.listen: must be "HOST:PORT", like "127.0.0.1:8080" or "[::1]:8080"',
        ),
        (
            "[server]\nlisten = '127.0.0.1:99999'",
            "2: server.listen: the port must be a number from 0 to 65535 (0 = any free one)",
        ),
    ],
)
def test_a_mistake_is_told_with_line_key_and_remedy(
    config_file: ConfigFile, text: str, problem: str
) -> None:
    assert config_file.problems(text) == [problem]


def test_tables_too_deep_in_each_other_are_refused(config_file: ConfigFile) -> None:
    (problem,) = config_file.problems("a = " + "[" * 5000)

    assert "too deep" in problem


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(config_file: ConfigFile) -> None:
    problems = config_file.problems(
        "[server]\nlistne = 'x'\ndrain_s = 'long'\n"
        "[[bots]]\nslug = 'a'\n[[bots.agents]]\nname = 'A'\nmodel = 'gone'\nmodle = 'x'\n"
    )

    assert [problem.split(": ")[:2] for problem in problems] == [
        ["2", "server.listne"],
        ["3", "server.drain_s"],
        ["8", "bots.agents.model"],
        ["9", "bots.agents.modle"],
    ]


def test_values_of_the_file_never_stand_in_an_error(config_file: ConfigFile) -> None:
    text = "[server]\nsecret = 'canary-short'\n[models.m]\nprovider = 'openai'\napi_key = 77001\n"

    assert "canary" not in " ".join(config_file.problems(text))
    assert "77001" not in " ".join(config_file.problems(text))


def test_secrets_do_not_print(config_file: ConfigFile) -> None:
    canary = "canary" * 8
    config = config_file.read(
        BOT.replace('provider = "scripted"', f'provider="openai"\nmodel="m"\napi_key = "{canary}"')
        + f'[server]\nsecret = "{canary}"\n'
        + f'[tools.t]\nkind = "http"\nurl = "http://x"\nheaders = {{ A = "{canary}" }}\n'
    )

    assert canary not in repr(config)
    assert canary not in repr(config.models())
    assert "canary" not in str(config.settings)


def test_the_file_asked_for_goes_before_the_variable(tmp_path: Path) -> None:
    environment = {"BOT_GATEWAY_CONFIG": "/etc/other.toml"}

    assert find_config(tmp_path / "mine.toml", environment) == tmp_path / "mine.toml"
    assert find_config(None, environment) == Path("/etc/other.toml")


def test_the_working_directory_is_looked_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").touch()

    assert find_config(None, {}) == Path("config.toml")


def test_no_configuration_anywhere_is_one_readable_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if Path("/etc/bot-gateway/config.toml").exists():
        pytest.skip("this machine has a configuration")

    with pytest.raises(ConfigError, match=r"--config PATH$"):
        find_config(None, {})


def test_a_path_of_the_store_starts_at_the_file(config_file: ConfigFile) -> None:
    settings = config_file.read("[store]\nurl = 'sqlite:../deep/g.db'").settings

    assert settings.store.url == f"sqlite:{config_file.path.parent}/../deep/g.db"
    assert settings.store.data_dir == config_file.path.parent / "../deep"


def test_an_absolute_path_of_the_store_stays(config_file: ConfigFile) -> None:
    assert config_file.read("store.url = 'sqlite:/var/g.db'").settings.store.file == Path(
        "/var/g.db"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "http://127.0.0.1:8080"),
        ("server.listen = '0.0.0.0:9000'", "http://127.0.0.1:9000"),
        ("server.listen = '[::]:9000'", "http://[::1]:9000"),
        ("server.listen = '[fd00::2]:80'", "http://[fd00::2]:80"),
        ("server.public_url = 'https://chat.example.com/'", "https://chat.example.com"),
    ],
)
def test_the_address_shown_is_one_that_can_be_called(
    config_file: ConfigFile, text: str, shown: str
) -> None:
    assert config_file.read(text).settings.server.shown_url == shown


def test_a_literal_secret_in_a_readable_file_is_noted_and_allowed(config_file: ConfigFile) -> None:
    config_file.path.touch()
    config_file.path.chmod(0o644)
    config = config_file.read(f"[server]\nsecret = '{'s' * 40}'")

    (note,) = config.notes

    assert ":2: server.secret: a secret stands in this file and others may read it; chmod" in note

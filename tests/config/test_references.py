"""env:, file: and cred:, in every table, and what happens when they lead nowhere."""

from pathlib import Path

import pytest

from tests.config.conftest import BOT, ConfigFile

REMOTE = """
[models.main]
provider = "openai"
model = "env:MODEL|llama3.2"
api_key = "env:KEY"
"""
USED = REMOTE + '[[bots]]\nslug = "b"\nmodel = "main"\n[[bots.agents]]\nname = "A"\n'


def test_a_variable_gives_the_value(config_file: ConfigFile) -> None:
    config = config_file.read(USED, environment={"KEY": "sk-1", "MODEL": "big"})

    model = config.models()["main"]

    assert model.model == "big"
    assert model.api_key is not None
    assert model.api_key.reveal() == "sk-1"


@pytest.mark.parametrize("environment", [{}, {"MODEL": ""}])
def test_the_text_behind_the_bar_stands_in_for_a_variable_that_is_not_set(
    config_file: ConfigFile, environment: dict[str, str]
) -> None:
    config = config_file.read(USED, environment={"KEY": "sk-1", **environment})

    assert config.models()["main"].model == "llama3.2"


def test_a_missing_variable_is_told_with_line_key_and_remedy(config_file: ConfigFile) -> None:
    (problem,) = config_file.problems(USED)

    assert problem == (
        "5: models.main.api_key: the environment variable KEY is not set;"
        " set it, or write the value here"
    )


def test_an_empty_variable_counts_as_missing(config_file: ConfigFile) -> None:
    (problem,) = config_file.problems(USED, environment={"KEY": ""})

    assert "the environment variable KEY is empty" in problem


def test_a_model_that_nobody_uses_may_lack_its_variables(config_file: ConfigFile) -> None:
    config = config_file.read(BOT + REMOTE)

    assert set(config.models()) == {"demo"}
    assert any("models.main.api_key: not in use" in note for note in config.notes)


def test_a_fallback_of_a_model_in_use_is_in_use(config_file: ConfigFile) -> None:
    text = BOT.replace('"scripted"', '"scripted"\nfallback = ["main"]') + REMOTE

    assert [problem.split(": ")[1] for problem in config_file.problems(text)] == [
        "models.main.api_key"
    ]


def test_a_missing_variable_hides_no_other_mistake(config_file: ConfigFile) -> None:
    problems = config_file.problems(USED.replace("provider", "images = 3\nprovider"))

    assert [problem.split(": ")[1] for problem in problems] == [
        "models.main.images",
        "models.main.api_key",
    ]


def test_a_provider_that_is_missing_is_told_even_in_an_unused_model(
    config_file: ConfigFile,
) -> None:
    (problem,) = config_file.problems("[models.m]\nprovider = 'env:PROVIDER'")

    assert problem.startswith("2: models.m.provider: the environment variable PROVIDER is not set")


def test_a_file_gives_its_text_without_the_last_line_end(
    config_file: ConfigFile, tmp_path: Path
) -> None:
    (tmp_path / "desk.md").write_text("You are\nthe desk.\n")

    config = config_file.read(BOT + 'instructions = "file:desk.md"\n')

    assert config.bots()[0].agents["Desk"].instructions == "You are\nthe desk."


def test_a_missing_file_is_told_with_its_path(config_file: ConfigFile, tmp_path: Path) -> None:
    (problem,) = config_file.problems(BOT + 'instructions = "file:desk.md"\n')

    assert problem.startswith(
        f"11: bots.agents.instructions: cannot read {tmp_path}/desk.md: no such"
    )


def test_a_secret_in_a_file_that_others_may_read_is_refused(
    config_file: ConfigFile, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("sk-1")
    key.chmod(0o640)

    (problem,) = config_file.problems(USED.replace("env:KEY", "file:key"))

    assert problem == (
        f"5: models.main.api_key: {key} holds a secret and others may read it (mode 0640);"
        f" chmod 600 it"
    )


def test_a_secret_in_a_file_of_ones_own_is_read(config_file: ConfigFile, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk-2\n")
    key.chmod(0o600)

    model = config_file.read(USED.replace("env:KEY", "file:key")).models()["main"]

    assert model.api_key is not None
    assert model.api_key.reveal() == "sk-2"


def test_a_credential_of_systemd_is_read(config_file: ConfigFile, tmp_path: Path) -> None:
    (tmp_path / "api_key").write_text("sk-3")
    text = USED.replace("env:KEY", "cred:api_key")

    model = config_file.read(text, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}).models()[
        "main"
    ]

    assert model.api_key is not None
    assert model.api_key.reveal() == "sk-3"


def test_a_credential_without_systemd_is_told_with_a_remedy(config_file: ConfigFile) -> None:
    (problem,) = config_file.problems(USED.replace("env:KEY", "cred:api_key"))

    assert "LoadCredential=api_key:PATH" in problem


@pytest.mark.parametrize("reference", ["env:", "env:MY-KEY", "env: KEY", "cred:../key", "cred:"])
def test_a_reference_that_names_nothing_is_refused(config_file: ConfigFile, reference: str) -> None:
    (problem,) = config_file.problems(USED.replace("env:KEY", reference))

    assert problem.startswith("5: models.main.api_key: ")


def test_references_reach_lists_and_free_tables(config_file: ConfigFile) -> None:
    config = config_file.read(
        BOT + '[tools.t]\nkind = "http"\nurl = "env:URL"\nheaders = { A = "env:TOKEN" }\n'
        '[server]\ncors_origins = ["env:ORIGIN"]\n',
        environment={
            "URL": "https://x.example/t",
            "TOKEN": "secret-1",
            "ORIGIN": "https://y.example",
        },
    )

    tool = config.settings.tools["t"]

    assert tool.url == "https://x.example/t"
    assert tool.headers["A"].get_secret_value() == "secret-1"
    assert config.settings.server.cors_origins == ("https://y.example",)


def test_a_channel_that_is_off_may_lack_its_token(config_file: ConfigFile) -> None:
    channel = '[[channels]]\nname="tg"\nkind="telegram"\nbot="support"\ntoken="env:TOKEN"\n'

    assert len(config_file.problems(BOT + channel)) == 1
    assert config_file.read(BOT + channel + "enabled = false\n").channels()[0].is_enabled is False

"""The server's secret is configured, or made once and kept from others."""

import threading
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.values import Config
from gateway.daemon.secret import server_secret
from gateway.errors import ConfigError


def config(folder: Path, more: str = "") -> Config:
    path = folder / "config.toml"
    path.write_text(
        f'[store]\nurl = "sqlite:{folder}/data/gateway.db"\n[server]\n{more}\n'
        '[models.demo]\nprovider = "scripted"\n'
        '[[bots]]\nslug = "support"\nmodel = "demo"\n[[bots.agents]]\nname = "Desk"\n'
    )
    return load(path)


def secret_file(folder: Path) -> Path:
    return folder / "data" / "secret"


def test_a_configured_secret_is_taken_as_it_is(tmp_path: Path) -> None:
    given = "a secret that is long enough for a test"

    assert server_secret(config(tmp_path, f'secret = "{given}"')) == given.encode()
    assert not secret_file(tmp_path).exists()


def test_a_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    first = server_secret(config(tmp_path))

    assert server_secret(config(tmp_path)) == first
    assert len(first) >= 43
    assert secret_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert secret_file(tmp_path).parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in secret_file(tmp_path).parent.iterdir()] == ["secret"]


def test_two_installations_have_two_secrets(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()

    assert server_secret(config(one)) != server_secret(config(two))


def test_who_makes_it_at_the_same_time_gets_the_same_one(tmp_path: Path) -> None:
    made: list[bytes] = []
    loaded = config(tmp_path)
    threads = [
        threading.Thread(target=lambda: made.append(server_secret(loaded))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 8
    assert len(set(made)) == 1


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    server_secret(config(tmp_path))
    secret_file(tmp_path).chmod(0o640)

    with pytest.raises(ConfigError, match="chmod 600"):
        server_secret(config(tmp_path))


@pytest.mark.parametrize("content", ["", "short"])
def test_a_secret_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    server_secret(config(tmp_path))
    secret_file(tmp_path).write_text(content)

    with pytest.raises(ConfigError, match="too short"):
        server_secret(config(tmp_path))


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file stands here")

    with pytest.raises(ConfigError, match="must be able to write"):
        server_secret(config(tmp_path))

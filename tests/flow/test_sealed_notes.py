"""Notes that are secrets: only their channel reads them, only with the server's secret."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.flow.sealed_notes import MARK, NoteSeal
from gateway.store.open import backup_store
from tests.flow.house import house

TOKEN = "xoxb-a-token-of-a-workspace"
NOTE = {"token": TOKEN, "nested": {"é": [1, None]}}


def test_a_sealed_note_opens_as_it_was():
    seal = NoteSeal(b"a secret")

    assert seal.opened("slack", "one", seal.seal("slack", "one", NOTE)) == NOTE


def test_the_same_note_is_sealed_differently_each_time():
    seal = NoteSeal(b"a secret")

    assert seal.seal("slack", "one", NOTE) != seal.seal("slack", "one", NOTE)


def test_a_note_that_is_no_secret_is_left_alone():
    assert NoteSeal(b"a secret").opened("slack", "one", {"cursor": 7}) == {"cursor": 7}


@pytest.mark.parametrize(
    ("channel", "key", "secret"),
    [("other", "one", b"a secret"), ("slack", "two", b"a secret"), ("slack", "one", b"another")],
    ids=["another channel", "another key", "another secret"],
)
def test_it_opens_nowhere_else(channel: str, key: str, secret: bytes):
    sealed = NoteSeal(b"a secret").seal("slack", "one", NOTE)

    with pytest.raises(StoreError) as caught:
        NoteSeal(secret).opened(channel, key, sealed)

    assert caught.value.code == "wrong_secret"
    assert "server.secret" in caught.value.message
    assert TOKEN not in repr(caught.value)


@pytest.mark.parametrize("broken", ["", "1:", "1:!!", "2:AAAA", "1:AAAA", 7], ids=repr)
def test_a_note_that_was_damaged_is_an_error_that_can_be_explained(broken: object):
    with pytest.raises(StoreError):
        NoteSeal(b"a secret").opened("slack", "one", {MARK: broken})


async def test_a_secret_stands_in_no_file_of_the_store_and_in_no_backup(tmp_path: Path):
    folder = tmp_path / "data"
    async with house(folder) as home:
        await home.port.keep_note("one", NOTE, is_secret=True)
        await home.port.keep_note("two", {"plain": "to-be-found"})
        [database] = folder.rglob("*.db")
        url, copy = f"sqlite:{database}", tmp_path / "copy.db"
        await asyncio.to_thread(
            backup_store, url, copy, overwrite=False, with_findings=False, tell=_mute
        )

        assert await home.port.note("one") == NOTE
    files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert any(b"to-be-found" in content for content in files)
    assert not any(TOKEN.encode() in content for content in files)


async def test_a_changed_secret_of_the_server_shows_in_the_channels_health(tmp_path: Path):
    async with house(tmp_path / "data") as home:
        await home.port.keep_note("one", NOTE, is_secret=True)
        home.port._seal = NoteSeal(b"another secret")

        with pytest.raises(StoreError):
            await home.port.note("one")

        assert home.port.status.state == "degraded"
        assert "another server.secret" in str(home.port.status.reason)


async def test_a_secret_can_be_replaced_and_removed(tmp_path: Path):
    async with house(tmp_path / "data") as home:
        await home.port.keep_note("one", NOTE, is_secret=True)
        await home.port.keep_note("one", {"token": "next"}, is_secret=True)
        replaced = await home.port.note("one")
        await home.port.keep_note("one", None, is_secret=True)

        assert replaced == {"token": "next"}
        assert await home.port.note("one") is None


def test_the_library_is_loaded_by_those_who_keep_secrets_and_by_nobody_else():
    program = (
        "import sys\n"
        "from gateway.flow.sealed_notes import NoteSeal\n"
        "seal = NoteSeal(b'a secret')\n"
        "seal.opened('slack', 'one', {'plain': 1})\n"
        "print('cryptography' in sys.modules)\n"
        "seal.seal('slack', 'one', {})\n"
        "print('cryptography' in sys.modules)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout.split() == [b"False", b"True"]


def _mute(*_: object) -> None:
    """Nobody wants to know how far the backup is."""

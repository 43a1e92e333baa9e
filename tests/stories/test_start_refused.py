"""Starts that cannot be: exit code 78, what is wrong and where, and never a trace."""

import socket
from pathlib import Path

import pytest

from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, SCRIPTED

GOOD = SCRIPTED + DESK


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (GOOD + "[[bots", "config.toml"),
        (GOOD.replace("apology", "apologie"), "apology"),
        (GOOD.replace("slowly", "(slowly"), "regular expression"),
        (GOOD.replace('"Sorry, that did not work."', '"env:NOT_SET_ANYWHERE"'), "NOT_SET_ANYWHERE"),
        (GOOD.replace('model = "main"', 'model = "mian"'), "main"),
    ],
    ids=["broken TOML", "unknown key", "broken rule", "missing secret", "unknown model"],
)
async def test_a_wrong_configuration_is_told_with_its_place(
    tmp_path: Path, config: str, told: str
) -> None:
    async with GatewayProcess(tmp_path, config=config) as gateway:
        code, output, errors = await gateway.run("serve")

    assert code == 78
    assert "config.toml" in errors
    assert told in errors
    assert "Traceback" not in errors + output
    assert not (tmp_path / "data").exists()


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async with GatewayProcess(tmp_path, config=GOOD) as gateway:
        with socket.socket() as other:
            other.bind(("127.0.0.1", gateway.port))
            other.listen()
            code, output, errors = await gateway.run("serve")

    assert code == 78
    assert str(gateway.port) in errors
    assert "Traceback" not in errors + output


async def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    async with GatewayProcess(tmp_path, config=GOOD) as gateway:
        (tmp_path / "data").write_text("a file, not a directory")
        code, output, errors = await gateway.run("serve")

    assert code == 78
    assert "data" in errors
    assert "Traceback" not in errors + output

"""The package of docs/write-a-channel.md, made from the page, installed and tested as it says."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.docs.page import files_of

FILES = files_of("docs/write-a-channel.md")


async def run(*command: str, folder: Path, **environment: str) -> str:
    """What a command says; fails the test with it when the command fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_the_channel_of_the_page_is_installed_found_and_passes_its_own_tests(
    tmp_path: Path,
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    site = str(tmp_path / "site")
    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check", "install")
    build = ("--no-deps", "--no-build-isolation", "--no-index", "--target", site, ".")
    await run(sys.executable, *pip, *build, folder=tmp_path)

    told = await run(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"),
        *("-o", "asyncio_mode=auto", "test_courier.py"),
        folder=tmp_path,
        PYTHONPATH=site,
    )

    assert "7 passed" in told


def test_the_example_stays_small_and_imports_only_what_a_channel_may() -> None:
    lines = FILES["courier_channel.py"].splitlines()

    ours = {line.split()[1] for line in lines if line.startswith("from gateway")}
    assert ours == {"gateway.contract", "gateway.errors"}
    assert len([line for line in lines if line.strip()]) <= 100

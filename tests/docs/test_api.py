"""Every call of docs/api.md, made as the page says, against a running demo."""

import asyncio
import json
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gateway.testing.process import GatewayProcess
from tests.docs.page import ROOT, Block, blocks

PAGE = blocks("docs/api.md")
ANY = "…"
MARK = "==== output of block"


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    """The demo on a free port, with the bot that the page adds."""
    async with GatewayProcess(tmp_path, config="") as gateway:
        example = (ROOT / "config.example.toml").read_text()
        here = example.replace("127.0.0.1:8080", f"127.0.0.1:{gateway.port}")
        added = [block.text for block in PAGE if block.info == "toml"]
        gateway.config_path.write_text("\n".join([here, *added]))
        await gateway.start()
        yield gateway


def script(gateway: GatewayProcess) -> str:
    """The page as one script, with this gateway's address and files in place of the reader's."""
    steps = []
    for number, block in enumerate(PAGE):
        if block.info == "sh":
            steps += [f"echo; echo '{MARK} {number}'", block.text]
    text = "\n".join(["set -euo pipefail", *steps])
    places = {
        "http://127.0.0.1:8080": gateway.url,
        ".venv/bin/bot-gateway": f"{shlex.quote(sys.executable)} -m gateway",
        "--config config.example.toml": f"--config {shlex.quote(str(gateway.config_path))}",
    }
    for here, there in places.items():
        text = text.replace(here, there)
    return text


async def outputs(gateway: GatewayProcess) -> dict[int, str]:
    """What each block of the page printed, by its number."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", script(gateway)),
        cwd=gateway.folder,
        env=os.environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, output.decode() + errors.decode()
    pieces = re.split(rf"^{MARK} (\d+)$", output.decode(), flags=re.MULTILINE)[1:]
    return {int(n): text for n, text in zip(pieces[::2], pieces[1::2], strict=True)}


def differs(shown: Any, real: Any, at: str = "") -> str | None:
    """Where the real document is not as shown: more members are fine, `…` stands for anything."""
    if isinstance(shown, dict) and isinstance(real, dict):
        found = (differs(v, real.get(k, "missing"), f"{at}/{k}") for k, v in shown.items())
        return next(filter(None, found), None)
    if isinstance(shown, list) and isinstance(real, list) and len(shown) == len(real):
        found = (
            differs(a, b, f"{at}/{i}") for i, (a, b) in enumerate(zip(shown, real, strict=True))
        )
        return next(filter(None, found), None)
    if isinstance(shown, str) and isinstance(real, str):
        return None if pattern(shown).fullmatch(real) else f"{at}: {shown!r} is {real!r}"
    return None if shown == real else f"{at}: {shown!r} is {real!r}"


def pattern(shown: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(piece) for piece in shown.split(ANY)), re.DOTALL)


def missing_line(shown: str, real: str) -> str | None:
    """The first line that does not come, in this order, in what was printed."""
    lines = iter(real.splitlines())
    for wanted in shown.splitlines():
        if not any(pattern(wanted).fullmatch(line.rstrip("\r")) for line in lines):
            return wanted
    return None


def last_document(text: str) -> Any:
    """The last JSON document that was printed: commands before it may print theirs."""
    decoder, at, found = json.JSONDecoder(), 0, None
    while (at := text.find("{", at)) >= 0:
        found, at = decoder.raw_decode(text, at)
    return found


def problem(block: Block, real: str) -> str | None:
    """How a printed output differs from the block that shows it."""
    if block.info == "json":
        return differs(json.loads(block.text), last_document(real))
    return missing_line(block.text, real)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_every_call_of_the_page_answers_as_shown(demo: GatewayProcess) -> None:
    printed = await outputs(demo)

    wrong = {
        block.text: f"{found}\n{printed[number]}"
        for number, (before, block) in enumerate(pairwise(PAGE))
        if before.info == "sh" and block.info in ("json", "text")
        if (found := problem(block, printed[number]))
    }
    assert not wrong, "\n\n".join(f"{shown}\n--- but ---\n{real}" for shown, real in wrong.items())


def test_every_call_of_the_page_is_one_that_is_run() -> None:
    calls = [block for block in PAGE if "curl" in block.text]

    assert calls
    assert {block.info for block in calls} == {"sh"}

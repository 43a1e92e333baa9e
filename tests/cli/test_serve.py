"""The daemon as a child process: what it prints, how it stops, how it refuses to start."""

import asyncio
import json
import os
import re
import shlex
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from gateway.testing.process import GatewayProcess
from tests.cli.conftest import CONFIG

END_WITHIN_S = 20


@dataclass(frozen=True)
class Ended:
    """A start that was refused."""

    code: int
    out: str
    err: str


async def refused(
    folder: Path,
    text: str = CONFIG,
    *,
    listen: str = "127.0.0.1:0",
    store: str = "sqlite:data/g.db",
) -> Ended:
    """`serve` on that configuration, which must end by itself."""
    config = folder / "config.toml"
    head = f'[server]\nlisten = "{listen}"\n[store]\nurl = "{store}"\n' if text == CONFIG else ""
    config.write_text(head + text)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "serve", "--config", str(config)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if k != "SERVE_TEST_SECRET"},
    )
    try:
        async with asyncio.timeout(END_WITHIN_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ended(process.returncode or 0, out.decode(), err.decode())


def is_one_line(ended: Ended) -> bool:
    """Whether people read one line, and no trace stands anywhere."""
    lines = ended.err.splitlines()
    return len(lines) == 1 and lines[0].startswith("error: ") and "Traceback" not in ended.err


@asynccontextmanager
async def demo(folder: Path) -> AsyncIterator[GatewayProcess]:
    """`serve --demo`, ready."""
    async with GatewayProcess(folder, config=CONFIG) as gateway:
        await gateway.start(arguments=("--demo",))
        await has_printed(gateway, "Real model")
        yield gateway


async def has_printed(gateway: GatewayProcess, text: str) -> None:
    """Wait until that text stands in the output."""
    async with asyncio.timeout(END_WITHIN_S):
        while text not in gateway.log:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)


def printed_curl(gateway: GatewayProcess) -> list[str]:
    """The words of the newest curl line."""
    return shlex.split(re.findall(r"curl .*", gateway.log)[-1])


async def test_the_printed_curl_line_answers(tmp_path: Path) -> None:
    async with demo(tmp_path) as gateway:
        curl = await asyncio.create_subprocess_exec(
            *printed_curl(gateway), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await curl.communicate()

        assert json.loads(out)["output_text"] == "I heard: What is my outstanding balance?"


async def test_the_demo_prints_the_chat_page_and_how_to_use_a_real_model(tmp_path: Path) -> None:
    async with demo(tmp_path) as gateway, aiohttp.ClientSession() as session:
        assert 'provider = "openai"' in gateway.log
        assert f"Chat page: {gateway.url}/talk/support\n" in gateway.log
        async with session.get(f"{gateway.url}/talk/support") as page:
            assert page.status == 200


async def test_a_second_demo_closes_the_key_of_the_first_and_no_other(tmp_path: Path) -> None:
    async with demo(tmp_path) as gateway:
        first = printed_curl(gateway)
        own = await gateway.create_key(project="demo")
        await gateway.stop()
        await gateway.start(arguments=("--demo",))
        await has_printed(gateway, "gateway_ready")

        keys = await gateway.run_json("key", "list")

        open_names = sorted(key["name"] for key in keys if key["revoked_at"] is None)
        assert open_names == ["demo", "key"]
        assert printed_curl(gateway) != first
        assert own not in gateway.log


async def test_without_demo_it_prints_only_its_log(tmp_path: Path) -> None:
    async with GatewayProcess(tmp_path, config=CONFIG) as gateway:
        await gateway.start()
        code = await gateway.stop()

        assert code == 0
        events = [json.loads(line)["event"] for line in gateway.log.splitlines()]
        assert events[0] == "gateway_ready"
        assert events[-1] == "gateway_stopped"


async def test_keys_and_operators_commands_work_beside_it(tmp_path: Path) -> None:
    async with GatewayProcess(tmp_path, config=CONFIG) as gateway:
        await gateway.start()
        key = await gateway.create_key(project="demo")
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{gateway.url}/v1/chat", json={"input": "What do I owe?"}) as answer,
        ):
            turn = await answer.json()

        status = await gateway.run_json("status")
        story = await gateway.run_json("explain", turn["id"])

        assert answer.status == 200
        assert status["running"] is True
        assert status["instances"][0]["is_alive"] is True
        assert [step["kind"] for step in story["turns"][0]["steps"]].count("handoff") == 1
        assert await gateway.run_json("verify") == {"findings": []}
        assert (await gateway.run("migrate"))[0] == 75


async def test_after_a_kill_the_session_can_be_explained_and_goes_on(tmp_path: Path) -> None:
    async with GatewayProcess(tmp_path, config=CONFIG) as gateway:
        await gateway.start()
        headers = {"Authorization": f"Bearer {await gateway.create_key(project='demo')}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.post(f"{gateway.url}/v1/chat", json={"input": "Hello"}) as answer:
                session_id = (await answer.json())["session_id"]
            await gateway.kill()
            await gateway.start()

            body = {"input": "What do I owe?", "session_id": session_id}
            async with session.post(f"{gateway.url}/v1/chat", json=body) as answer:
                assert (await answer.json())["output_text"] == "You owe $1,284.50."

        story = await gateway.run_json("explain", session_id)
        assert [turn["state"] for turn in story["turns"]] == ["done", "done"]
        assert await gateway.run_json("verify") == {"findings": []}


async def test_a_second_gateway_on_the_same_data_is_refused(tmp_path: Path) -> None:
    async with GatewayProcess(tmp_path, config=CONFIG) as gateway:
        await gateway.start()

        ended = await refused(tmp_path, store="sqlite:data/gateway.db")

    assert ended.code == 75
    assert is_one_line(ended)
    assert "data directory" in ended.err


async def test_a_port_that_is_taken_is_told_with_a_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"

        ended = await refused(tmp_path, listen=listen)

    assert ended.code == 78
    assert is_one_line(ended)
    assert f"{listen} is taken by another program" in ended.err


async def test_a_data_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be made below this")

    ended = await refused(tmp_path, store="sqlite:file/data/gateway.db")

    assert ended.code == 78
    assert is_one_line(ended)
    assert str(tmp_path / "file") in ended.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server\n", "not valid TOML"),
        ('[server]\nlistn = "127.0.0.1:0"\n', 'did you mean "listen"?'),
        ('[server]\nsecret = "env:SERVE_TEST_SECRET"\n', "SERVE_TEST_SECRET is not set"),
        ('[server]\nsecret = "file:nowhere"\n', "nowhere"),
    ],
)
async def test_a_configuration_that_is_wrong_is_told_with_its_line(
    text: str, told: str, tmp_path: Path
) -> None:
    ended = await refused(tmp_path, text)

    assert (ended.code, ended.out) == (78, "")
    assert is_one_line(ended)
    assert f"{tmp_path}/config.toml:" in ended.err
    assert told in ended.err
    assert not (tmp_path / "data").exists()


async def test_a_configuration_that_is_not_there_is_told(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "serve", "--config", str(tmp_path / "none.toml")),
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()

    assert process.returncode == 78
    assert "none.toml: there is no such file" in err.decode()

"""The package of docs/write-a-channel.md: made from the page, installed, tested, and broken."""

import ast
import asyncio
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.page import files_of

FILES = files_of("docs/write-a-channel.md")
CHANNEL = FILES["wire_channel.py"]
PYTEST = (
    *(sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"),
    *("-p", "no:xdist", "-W", "error", "-o", "asyncio_mode=auto"),
    *("-o", "asyncio_default_fixture_loop_scope=function", "--tb=short"),
)


async def run(*command: str, folder: Path, **environment: str) -> tuple[int, str]:
    """The exit code of a command, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


def write(folder: Path, files: dict[str, str]) -> None:
    """Put files into a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_the_channel_of_the_page_is_installed_found_and_passes_the_conformance_suite(
    tmp_path: Path,
) -> None:
    write(tmp_path / "package", FILES)
    site = str(tmp_path / "site")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
    build = ("--no-deps", "--no-build-isolation", "--no-index", "--target", site, ".")
    code, told = await run(*pip, *build, folder=tmp_path / "package")
    assert code == 0, told

    code, told = await run(*PYTEST, "tests", folder=tmp_path / "package", PYTHONPATH=site)

    assert code == 0, told
    passed = re.search(r"^(\d+) passed in", told, re.MULTILINE)
    assert passed is not None, told
    assert int(passed[1]) > 100


@dataclass(frozen=True, slots=True)
class Break:
    """A mistake that authors make: what stands there instead, and a test that has to find it."""

    right: str
    wrong: str
    finds: str


ACCEPT = 'await host.accept(batch, cursor=("line", str(max(after, answer.line))))'
SEND = 'answer = await self._ask("send", id=delivery_id, chat=address.chat, text=part["text"])'
BREAKS = {
    "acknowledges_before_it_accepts": Break(
        ACCEPT,
        f"{ACCEPT.replace('batch', '[]')}\n        await host.accept(batch)",
        "test_no_position_passes_an_event_that_is_not_stored",
    ),
    "acknowledges_what_was_not_stored": Break(
        ACCEPT,
        f"""try:
            {ACCEPT}
        except GatewayError:
            {ACCEPT.replace("batch", "[]")}""",
        "test_what_is_not_stored_is_not_acknowledged_and_comes_again",
    ),
    "sends_again_by_itself": Break(
        SEND,
        f"""try:
            {SEND}
        except DeliveryUnknown:
            {SEND}""",
        "test_one_part_is_one_try[lost_after]",
    ),
    "takes_doubt_for_certainty": Break(
        'raise DeliveryUnknown("Wire gave no answer")',
        'raise DeliveryLater("Wire gave no answer")',
        "test_a_failed_send_means_what_it_says[lost_after]",
    ),
    "takes_certainty_for_doubt": Break(
        'raise DeliveryLater("Wire cannot be reached")',
        'raise DeliveryUnknown("Wire cannot be reached")',
        "test_a_platform_that_cannot_be_reached_took_nothing",
    ),
    "gives_up_a_chat_for_a_text": Break(
        '"text": "part"', '"text": "address"', "test_a_failed_send_means_what_it_says[refused_part]"
    ),
    "numbers_events_itself": Break(
        "external_id=str(line),  #",
        "external_id=now.isoformat(),  #",
        "test_a_message_that_comes_again_is_the_same_event",
    ),
    "answers_bots": Break(" or known.said.is_bot", "", "test_bots_are_not_answered"),
    "is_silent_about_what_it_ignores": Break(
        "host.ignored(heard)",
        "pass",
        "test_an_unknown_event_is_acknowledged_and_counted_and_says_nothing",
    ),
    "tells_its_token": Break(
        '"Wire gave no answer"', 'f"no answer to {call}"', "test_no_secret_is_told[garbage]"
    ),
    "cuts_too_late": Break(
        "pieces(text, MAX_CHARS)",
        "pieces(text, 4096)",
        "test_every_word_arrives_in_order_and_nothing_is_refused[ten thousand characters]",
    ),
    "does_not_prove_its_token": Break(
        "await self.probe()\n",
        'self._account = "wire-1"\n',
        "test_a_refused_credential_refuses_the_account",
    ),
    "does_not_find_what_it_sent": Break(
        "return Receipt(answer.id) if answer.id else None",
        "return None",
        "test_a_part_whose_answer_was_lost_is_found",
    ),
}


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_the_suite_finds_every_mistake_that_is_put_into_the_channel(tmp_path: Path) -> None:
    write(tmp_path, {"fake_wire.py": FILES["tests/fake_wire.py"]})
    for name, each in BREAKS.items():
        assert CHANNEL.count(each.right) == 1, name
        tests = FILES["tests/test_wire.py"].replace("wire_channel", name)
        broken = CHANNEL.replace(each.right, each.wrong)
        write(tmp_path, {f"{name}.py": broken, f"test_{name}.py": tests})

    named = {each.finds.partition("[")[0] for each in BREAKS.values()}
    chosen = f"TestWireChannel and not silence and ({' or '.join(sorted(named))})"
    _, told = await run(*PYTEST, "--tb=no", "-k", chosen, folder=tmp_path)

    found = re.findall(
        r"^FAILED test_(\w+)\.py::TestWireChannel::([^\n]+?)(?: - |$)", told, re.MULTILINE
    )
    assert {name for name, _ in found} == set(BREAKS), told
    assert [name for name, each in BREAKS.items() if (name, each.finds) not in found] == [], told


def test_the_example_stays_small_and_typed_and_imports_only_what_a_channel_may() -> None:
    lines = CHANNEL.splitlines()

    ours = {line.split()[1] for line in lines if line.startswith("from gateway")}
    assert ours == {"gateway.contract", "gateway.contract.cut", "gateway.errors"}
    assert len([line for line in lines if line.strip()]) <= 165
    for name in ("wire_channel.py", "tests/fake_wire.py", "tests/test_wire.py"):
        assert untyped(FILES[name]) == []


def untyped(source: str) -> list[str]:
    """The functions that do not say all of what they take and give."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (
            node.returns is None
            or any(
                argument.annotation is None
                for argument in (*node.args.args, *node.args.kwonlyargs)
                if argument.arg != "self"
            )
        )
    ]

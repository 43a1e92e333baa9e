"""The shape of the code, held by tests: floors, sizes, docstrings, words that must not stand there.

Reads the source of `gateway` and `channels` as text and as syntax trees; runs none of it.
The rules themselves are written in `docs/architecture.md` and, for imports, in `pyproject.toml`.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parent.parent
PRODUCT = sorted(path for top in ("gateway", "channels") for path in (ROOT / top).rglob("*.py"))
PYTHON = sorted({*PRODUCT, *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")})

FILE_ALARM_LINES = 400
FUNCTION_ALARM_LINES = 60
# Where any exception at all ends, once each, because it is recorded there and the rest goes on.
CATCH_ALL_PLACES = {
    "gateway/api": "an HTTP request",
    "gateway/cli/app.py": "a command",
    "gateway/daemon/reloading.py": "a reload",
    "gateway/flow/attempt.py": "a turn",
    "gateway/flow/outbox.py": "a delivery",
    "gateway/flow/live_reply.py": "live output",
    "gateway/flow/host.py": "a channel's connection",
    "gateway/testing/faults/proving.py": "a row of the fault matrix",
    "channels/slack/door.py": "one inbound event",
    "channels/slack/socket_mode.py": "what one read of a socket brought",
    "channels/telegram": "one inbound event",
    "channels/twilio": "one inbound event",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """Each file of the product with its syntax tree."""
    for path in PRODUCT:
        yield path.relative_to(ROOT), ast.parse(path.read_text())


def functions() -> Iterator[tuple[Path, Function]]:
    """Each function and method of the product, however deeply nested."""
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield path, node


def lines_matching(pattern: str, files: list[Path]) -> list[str]:
    """`file:line text` of every line in which the pattern is found."""
    regex = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if regex.search(line)
    ]


def undocumented(path: Path, body: list[ast.stmt], owner: str = "") -> Iterator[str]:
    """Public classes, functions and methods in `body` that have no docstring.

    A method marked `@override` is described where it is declared; a test says it by its name.
    """
    for node in body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith(("_", "test_")):
            continue
        marks = {ast.unparse(mark) for mark in node.decorator_list}
        if not ast.get_docstring(node) and not marks & {"override", "overload"}:
            yield f"{path}:{node.lineno} {owner}{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from undocumented(path, node.body, f"{node.name}.")


def test_every_import_goes_down_a_floor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)

    exit_code = lint_imports(config_filename="pyproject.toml", no_cache=True)

    assert exit_code == 0, capsys.readouterr().out


def test_no_file_is_longer_than_the_alarm() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in PRODUCT}

    assert {p: n for p, n in lengths.items() if n > FILE_ALARM_LINES} == {}


def test_no_function_is_longer_than_the_alarm() -> None:
    too_long = [
        f"{path}:{node.lineno} {node.name}: {length} lines"
        for path, node in functions()
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_ALARM_LINES
    ]

    assert too_long == []


def test_everything_public_has_a_docstring() -> None:
    missing = [str(path) for path, tree in trees() if not ast.get_docstring(tree)]
    missing += [name for path, tree in trees() for name in undocumented(path, tree.body)]

    assert missing == []


def test_no_file_is_named_after_nothing_in_particular() -> None:
    vague = {"utils", "util", "helpers", "base", "manager"}

    assert [str(path.relative_to(ROOT)) for path in PRODUCT if path.stem in vague] == []


def test_nothing_is_left_for_later() -> None:
    # One letter of each stands in brackets, so that this line is not found by itself.
    later = r"\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b|NotImplementedErro[r]"

    assert lines_matching(later, PYTHON) == []


def test_every_silenced_check_says_which_and_why() -> None:
    mark = re.compile(r"# (type: ignor[e]|noq[a])")
    reasoned = re.compile(r"# (type: ignore\[[a-z, -]+\]|noqa: [A-Z]+\d+(, [A-Z]+\d+)*) +[#-]* *\w")

    unexplained = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in PYTHON
        for above, line in pairwise(["", *path.read_text().splitlines()])
        if mark.search(line)
        and not reasoned.search(line)
        and not (re.search(r"\[[a-z-]+\]|: [A-Z]+\d+", line) and above.lstrip().startswith("# "))
    ]

    assert unexplained == []


def catches_all(handler: ast.ExceptHandler) -> bool:
    """Whether it keeps any exception at all: cleaning up and raising again is not keeping."""
    caught = {ast.unparse(handler.type)} if handler.type else {"Exception"}
    is_passed_on = ast.unparse(handler.body[-1]) == "raise"
    return bool(caught & {"Exception", "BaseException"}) and not is_passed_on


def test_every_exception_is_kept_only_where_it_is_recorded() -> None:
    kept = [
        path.as_posix()
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and catches_all(node)
    ]

    places = [next((p for p in CATCH_ALL_PLACES if at.startswith(p)), at) for at in kept]

    assert sorted(places) == sorted({*places} & CATCH_ALL_PLACES.keys())


def test_every_library_in_use_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    wanted = project["dependencies"] + [d for extra in optional.values() for d in extra]
    declared = {plain_name(re.split(r"[^\w.-]", line)[0]) for line in wanted}
    owners = {**packages_distributions(), "pydantic_core": ["pydantic"]}  # its compiled half

    used = {name for _, tree in trees() for name in imported_packages(tree)}
    foreign = used - sys.stdlib_module_names - {"gateway", "channels"}

    assert {
        name
        for name in foreign
        if not declared & {plain_name(owner) for owner in owners.get(name, [name])}
    } == set()


def plain_name(distribution: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def imported_packages(tree: ast.Module) -> Iterator[str]:
    """Top-level names of everything a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]

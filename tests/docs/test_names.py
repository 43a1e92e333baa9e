"""Names of the code that stand in the documents exist in the code."""

import ast
import re
from pathlib import Path

import pytest

from tests.docs.page import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
SOURCES = [path for top in ("gateway", "channels") for path in sorted((ROOT / top).rglob("*.py"))]

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_DOTTED = re.compile(r"`([A-Z]\w+)\.([a-z_]+)`")
_EVENT = re.compile(r"`([a-z]+(?:_[a-z]+)*_(?:ready|finished|reloaded|refused|broke|needed))`")


def members() -> dict[str, set[str]]:
    """Names inside every class of the code, by the class's name."""
    found: dict[str, set[str]] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, set()).update(map(name_of, node.body))
    return found


def name_of(node: ast.stmt) -> str:
    """The name of a method or field; empty for anything else."""
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.target)
    return str(getattr(node, "name", ""))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_method_that_is_named_is_there(page: Path) -> None:
    named = set(_DOTTED.findall(_FENCED.sub("", page.read_text())))
    known = members() if named else {}

    assert [f"{owner}.{name}" for owner, name in named if name not in known.get(owner, ())] == []


def test_every_event_of_the_log_that_is_named_is_logged() -> None:
    named = {event for page in PAGES for event in _EVENT.findall(page.read_text())}
    code = "\n".join(path.read_text() for path in SOURCES)

    assert named
    assert [event for event in sorted(named) if f'"{event}"' not in code] == []


def test_the_types_of_the_architecture_are_where_it_says() -> None:
    table = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \| `(gateway/[\w/]+\.py)` \|",
        (ROOT / "docs/architecture.md").read_text(),
        re.MULTILINE,
    )

    missing = [
        f"{path}: {name}"
        for names, path in table
        for name in re.findall(r"`(\w+)`", names)
        if not re.search(rf"^(class )?{name}\b", (ROOT / path).read_text(), re.MULTILINE)
    ]
    assert len(table) > 10
    assert missing == []

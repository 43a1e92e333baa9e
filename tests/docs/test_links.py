"""What the documents point to is there: links, files, commands; each guide says who it is for."""

import re
from pathlib import Path

import pytest

from gateway.cli.app import ENTRIES
from tests.docs.page import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
GUIDES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs/channels").glob("*.md")])
TOP = ("gateway", "channels", "tests", "docs", "bench", "systemd")

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(rf"(?:{'|'.join(TOP)})/[\w./-]*|[\w.-]+\.(?:md|toml|lock)|Makefile")
_BARE = re.compile(r"\w+\.(?:py|js|css|html|sql)")
_COMMAND = re.compile(r"(?:^|bin/|`|\$ )bot-gateway ([a-z]+)", re.MULTILINE)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCED.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Names of a page's headings, as they are linked to."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in _LINK.findall(prose(page)):
        place, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        found = (page.parent / place) if place else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    named = {path for path in _CODE.findall(prose(page)) if _PATH.fullmatch(path)}
    made_by_readers = {"config.toml"}

    assert [
        path
        for path in sorted(named - made_by_readers)
        if not (ROOT / path).exists() and not (page.parent / path).exists()
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_is_named_alone_is_somewhere(page: Path) -> None:
    named = {path for path in _CODE.findall(prose(page)) if _BARE.fullmatch(path)}
    known = {path.name for top in ("gateway", "channels") for path in (ROOT / top).rglob("*.*")}

    assert sorted(named - known) == []


@pytest.mark.parametrize("page", GUIDES, ids=name)
def test_a_guide_says_at_once_who_it_is_for(page: Path) -> None:
    first = next(line for line in page.read_text().splitlines()[1:] if line.strip())

    assert re.match(r"For (whoever|developers|authors|operators)\b", first)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_that_is_named_is_there(page: Path) -> None:
    named = set(_COMMAND.findall(page.read_text()))

    assert named <= ENTRIES.keys()

"""The files around the code: locks, unit file, Makefile, and what no committed text may name."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
UNIT = ROOT / "systemd" / "bot-gateway.service"
EXPOSURE_LIMIT = 1.3


def pinned(lock: str) -> dict[str, int]:
    """Each package of a lock file with the number of its hashes."""
    pins: dict[str, int] = {}
    for line in (ROOT / lock).read_text().splitlines():
        if match := re.match(r"([a-z0-9._-]+)==\S+ \\$", line):
            name = match[1]
            pins[name] = 0
        elif line.lstrip().startswith("--hash=sha256:"):
            pins[name] += 1
    return pins


def tracked_texts() -> list[tuple[str, str]]:
    """Name and content of every text file under version control."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    texts = []
    for name in filter(None, listing.split("\0")):
        try:
            texts.append((name, (ROOT / name).read_text()))
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    return texts


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()

    assert re.findall(r"^-.*|\S*://\S*|@ file.*", text, flags=re.MULTILINE) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pinned_package_has_hashes(lock: str) -> None:
    pins = pinned(lock)

    assert pins
    assert [name for name, hashes in pins.items() if not hashes] == []


def test_both_locks_pin_the_same_versions() -> None:
    run, dev = (
        {*re.findall(r"^\S+==\S+", (ROOT / lock).read_text(), flags=re.MULTILINE)} for lock in LOCKS
    )

    assert run <= dev


def test_every_dependency_of_the_project_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=\[]", line)[0].lower() for line in project["dependencies"]}

    assert names <= pinned("requirements.lock").keys()


def test_no_committed_text_names_a_machine_path_or_a_registry() -> None:
    # One letter of each stands in brackets, so that this line is not found by itself.
    forbidden = re.compile(
        r"/(wor[k]|far[m])/|/roo[t]/\w|/hom[e]/[a-z]"
        r"|pyp[i]\.org|pythonhoste[d]|npmj[s]\.org|deb\.debia[n]"
    )

    found = [
        f"{name}: {match[0]}"
        for name, text in tracked_texts()
        for match in forbidden.finditer(text)
    ]

    assert found == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_unit_file_keeps_its_security_score() -> None:
    report = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip

    score = re.search(r"Overall exposure level for bot-gateway\.service: ([\d.]+)", report)

    assert score, report
    assert float(score[1]) <= EXPOSURE_LIMIT


def test_the_unit_is_watched_and_not_restarted_on_what_a_person_must_mend() -> None:
    settings = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), flags=re.MULTILINE))

    assert settings["Type"] == "notify"
    assert settings["WatchdogSec"] == "30"
    assert settings["Restart"] == "always"
    assert settings["RestartPreventExitStatus"] == "75 78"
    assert int(settings["TimeoutStopSec"]) > 90  # the default of server.drain_s


def test_make_alone_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)

    shown = subprocess.run(
        ["make", "--no-print-directory"], check=True, cwd=ROOT, capture_output=True, text=True
    )

    assert phony
    assert re.findall(r"make (\w+)", shown.stdout) == phony[1].split()


def test_every_declared_package_has_its_reason_on_record() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    declared = [*project["dependencies"], *(line for extra in extras for line in extra)]
    record = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text()

    names = {re.split(r"[<>=\[]", line)[0] for line in declared} - {project["name"]}

    assert {name for name in names if f"`{name}`" not in record} == set()

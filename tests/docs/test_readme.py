"""The README's fault matrix is the one that the command prints."""

import re

from gateway.testing.faults.matrix import FAULTS
from tests.docs.page import ROOT

README = (ROOT / "README.md").read_text()
ROW = re.compile(r"^\| (F\d+) \| (.+?) \| (.+?) \| .+? \| (holds|broken|not run) \|$", re.MULTILINE)


def test_it_shows_every_fault_as_the_command_names_it() -> None:
    shown = [match.group(1, 2, 3) for match in ROW.finditer(README)]

    assert shown == [(fault.id, fault.promise, fault.injected) for fault in FAULTS]


def test_every_row_of_it_holds() -> None:
    assert {match[4] for match in ROW.finditer(README)} == {"holds"}

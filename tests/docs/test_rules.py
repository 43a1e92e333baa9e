"""docs/platform-rules.md: every rule is there, and every rule has tests that are named after it."""

import re

import pytest

from tests.docs.rules import PAGE, RULES, in_name, page, proofs
from tests.specifications import FOLDER

ALL = [rule for rules in RULES.values() for rule in rules]


def test_the_page_is_what_the_markers_say() -> None:
    assert PAGE.read_text() == page(proofs()), "run: python -m tests.docs.rules"


@pytest.mark.parametrize("rule", ALL)
def test_every_rule_is_proven_by_a_test_named_after_it(rule: str) -> None:
    word = re.compile(rf"{in_name(rule)}(?!\d)")

    assert any(word.search(test.partition("::")[2]) for test in proofs().get(rule, ()))


def test_no_test_claims_an_unknown_rule() -> None:
    assert set(proofs()) <= set(ALL)


def test_it_has_every_rule_of_the_requirements() -> None:
    requirements = FOLDER.parent / "channels.md"
    if not requirements.exists():
        pytest.skip("there is no specification here")

    found = re.findall(r"^\| ((?:C|TG|SL|TW)-\d+)", requirements.read_text(), re.MULTILINE)

    assert sorted(found) == sorted(ALL)

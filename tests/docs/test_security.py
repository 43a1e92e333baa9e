"""docs/security.md names what there is: prefixes of keys, scopes, limits."""

import re
from pathlib import Path

from gateway.api.http.server import HEAD_S, IDLE_S, MAX_HEADERS, MAX_LINE_BYTES
from gateway.api.http.settings import ApiSettings
from gateway.api.native.routes import ENDPOINTS
from gateway.domain.access import DEFAULT_SCOPES, PREFIXES
from gateway.service.tokens import RENEWABLE_FOR, TOKEN_LIFE
from gateway.testing.scene import DESK, SCRIPTED, serving
from tests.docs.page import ROOT

PAGE = (ROOT / "docs/security.md").read_text()


def rows_after(heading: str) -> list[list[str]]:
    """The cells of the first table after a line that starts so."""
    table = re.search(rf"^\| {heading}.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table, heading
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table[1].splitlines()]


def test_every_prefix_of_a_key_is_told() -> None:
    assert [prefix for prefix in PREFIXES.values() if f"`{prefix}`" not in PAGE] == []


def test_the_scopes_that_open_something_are_told_and_no_others() -> None:
    told = {scope for row in rows_after("scope") for scope in re.findall(r"`([^`]+)`", row[0])}

    assert told == {end.demands for end in ENDPOINTS} - {"nothing", "any"}


def test_a_key_without_scopes_has_all_but_the_last_two() -> None:
    rows = [re.findall(r"`([^`]+)`", row[0]) for row in rows_after("scope")]

    assert {scope for row in rows[:-2] for scope in row} <= DEFAULT_SCOPES
    assert not DEFAULT_SCOPES & {scope for row in rows[-2:] for scope in row}


def test_times_and_sizes_are_those_of_the_code() -> None:
    assert (TOKEN_LIFE.total_seconds(), RENEWABLE_FOR.days) == (3600, 30)
    settings = ApiSettings(public_url="http://x")
    assert (HEAD_S, IDLE_S, settings.body_timeout_s, settings.stall_s) == (10, 25, 25, 10)
    assert f"{MAX_LINE_BYTES} bytes a line or header, {MAX_HEADERS} headers" in PAGE
    assert settings.limits.requests_per_minute == 600
    assert settings.limits.bad_keys_per_minute == 60


async def test_no_text_and_no_name_of_a_person_is_in_the_log_however_much_it_tells(
    tmp_path: Path,
) -> None:
    person = {"external_id": "customer-canary", "name": "Ann Canary", "data": {"k": "canary"}}

    config = SCRIPTED + DESK + '[log]\nlevel = "debug"\n'
    async with serving(tmp_path, config) as (gateway, caller):
        turn = await caller.say("a canary in a message", participant=person)
        await gateway.stop()

    assert "canary" in turn["output_text"]
    assert turn["id"] in gateway.log
    assert "canary" not in gateway.log.lower()

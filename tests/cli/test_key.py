"""Keys by the command line: made before the first start, listed without their text, closed."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.cli.key import key_state
from gateway.domain.access import DEFAULT_SCOPES, ApiKey, is_well_formed_key
from gateway.domain.ids import KeyId, ProjectId
from gateway.domain.policy import CallerLimits
from gateway.errors import Unauthorized
from gateway.service.access import AccessService
from gateway.service.signing import Signer
from gateway.store.open import open_store
from tests.cli.conftest import CommandLine
from tests.cli.moments import NOON


def made(command: CommandLine, *options: str) -> Any:
    """A key of project demo, as `create --json` prints it."""
    result = command("key", "create", "--project", "demo", "--json", *options)
    assert result.code == 0, result.err
    return result.json


def opens(command: CommandLine, text: str) -> bool:
    """Whether a gateway on this store lets that key in."""

    async def authenticate() -> bool:
        async with open_store(f"sqlite:{command.folder}/data/gateway.db", lock=False) as store:
            access = AccessService(store, Signer(b"secret"), limits=CallerLimits())
            try:
                return (await access.authenticate(text)).project_id == ProjectId("demo")
            except Unauthorized:
                return False

    return asyncio.run(authenticate())


def test_a_key_is_made_before_the_first_start(command: CommandLine) -> None:
    key = made(command)

    assert is_well_formed_key(key["key"])
    assert key["id"].startswith("key_")
    assert set(key["scopes"]) == DEFAULT_SCOPES
    assert opens(command, key["key"])


def test_for_people_the_key_stands_alone_on_standard_output(command: CommandLine) -> None:
    result = command("key", "create", "--project", "demo")

    assert is_well_formed_key(result.out.strip())
    assert "not shown again" in result.err


def test_the_data_directory_is_closed_to_others(command: CommandLine) -> None:
    made(command)

    data = command.folder / "data"
    modes = {path.name: path.stat().st_mode & 0o777 for path in (data, *data.iterdir())}
    assert modes.pop("data") == 0o700
    assert set(modes.values()) == {0o600}


def test_keys_are_listed_without_their_texts(command: CommandLine) -> None:
    key = made(command, "--name", "website")

    for_people = command("key", "list")
    for_programs = command("key", "list", "--json")

    assert "website" in for_people.out
    assert [entry["id"] for entry in for_programs.json] == [key["id"]]
    assert key["key"] not in for_people.out + for_programs.out


def test_a_revoked_key_opens_no_more_and_stays_in_the_list(command: CommandLine) -> None:
    key = made(command)

    result = command("key", "revoke", key["id"], "--json")

    assert result.json["revoked_at"] is not None
    assert not opens(command, key["key"])
    assert "revoked" in command("key", "list").out


def test_a_rotated_key_keeps_its_id_and_the_old_text_opens_for_the_overlap(
    command: CommandLine,
) -> None:
    key = made(command)

    overlapping = command("key", "rotate", key["id"], "--overlap", "1h", "--json").json
    assert overlapping["id"] == key["id"]
    assert opens(command, overlapping["key"])
    assert opens(command, key["key"])

    command("key", "rotate", key["id"])
    assert not opens(command, overlapping["key"])


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (("--role", "viewer"), "role", "viewer"),
        (("--role", "admin"), "kind", "admin"),
        (("--role", "admin", "--workspace"), "workspace", "default"),
        (("--scope", "chat", "--scope", "agents:read"), "scopes", ["agents:read", "chat"]),
        (("--scope", "conversation"), "kind", "conversation"),
        (("--bot", "support"), "bots", ["support"]),
        (("--publishable", "--origin", "https://Example.com/"), "origins", ["https://example.com"]),
        (("--publishable", "--origin", "https://example.com"), "kind", "publishable"),
        (("--owner", "ann@example.com"), "owner", "ann@example.com"),
    ],
)
def test_a_key_is_what_its_options_say(
    options: tuple[str, ...], field: str, value: object, command: CommandLine
) -> None:
    assert made(command, *options)[field] == value


def test_a_key_expires_when_it_was_told_to(command: CommandLine) -> None:
    key = made(command, "--expires", "30d")

    expires_at = datetime.fromisoformat(key["expires_at"])
    assert abs(expires_at - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=5)
    assert (
        made(command, "--expires", "2099-01-01T00:00:00Z")["expires_at"] == "2099-01-01T00:00:00Z"
    )


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (("--project", "dem"), 'did you mean "demo"?'),
        (("--project", "demo", "--bot", "suport"), 'did you mean "support"?'),
        (("--project", "demo", "--scope", "chta"), 'did you mean "chat"?'),
        (("--project", "demo", "--role", "boss"), "viewer"),
        (("--project", "demo", "--expires", "soon"), "30d"),
        (("--project", "demo", "--origin", "https://example.com"), "--publishable"),
        (("--project", "demo", "--publishable", "--origin", "example.com"), "https://example.com"),
        (("--project", "demo", "--publishable", "--scope", "chat"), "--scope"),
        (("--project", "demo", "--workspace"), "--role admin"),
        ((), "--project"),
    ],
)
def test_wrong_options_are_told_with_what_would_be_right(
    options: tuple[str, ...], hint: str, command: CommandLine
) -> None:
    result = command("key", "create", *options)

    assert (result.code, result.out) == (2, "")
    assert len(result.error_lines) == 1
    assert hint in result.err
    assert command("key", "list", "--json").json == []


def test_the_list_tells_which_keys_open(command: CommandLine) -> None:
    made(command, "--name", "for-a-day", "--expires", "1d")
    closed = made(command, "--name", "closed")["id"]

    revoked = command("key", "revoke", closed)
    listed = command("key", "list", "--project", "demo").out

    assert revoked.out == f"{closed} (closed) is revoked.\n"
    assert "open until 2" in listed
    assert "revoked" in listed


def test_an_expired_key_is_listed_as_such() -> None:
    expired = ApiKey(
        id=KeyId("key_1"),
        project_id=ProjectId("demo"),
        kind="secret",
        name="old",
        hint="gw_sk_x",
        owner="old@demo.local",
        created_at=NOON,
        expires_at=NOON,
    )

    assert key_state(expired, now=NOON) == "expired"


def test_without_keys_it_says_how_to_make_one(command: CommandLine) -> None:
    assert "key create --project" in command("key", "list").out


def test_an_overlap_of_more_than_a_week_is_refused(command: CommandLine) -> None:
    result = command("key", "rotate", "key_1", "--overlap", "8d")

    assert result.code == 2
    assert "at most 7d" in result.err


def test_an_unknown_key_is_one_line(command: CommandLine) -> None:
    result = command("key", "revoke", "key_unknown", "--json")

    assert result.code == 1
    assert json.loads(result.err)["error"]["code"] == "not_found"

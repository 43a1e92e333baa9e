"""Signatures and session tokens: what was not sealed here for this purpose opens nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.ids import KeyId, ProjectId, new_participant_id, new_session_id
from gateway.service import tokens
from gateway.service.signing import Signer
from gateway.service.tokens import SessionGrant

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SIGNER = Signer(b"a secret")
KEY = KeyId("key_1")


def grant(*, key_id: KeyId | None = KEY) -> SessionGrant:
    return SessionGrant(
        project_id=ProjectId("demo"),
        session_id=new_session_id(),
        participant_id=new_participant_id(),
        bot="support",
        expires_at=NOON,
        key_id=key_id,
    )


def test_a_token_says_what_was_granted() -> None:
    granted = grant()

    assert tokens.read(SIGNER, tokens.issue(SIGNER, granted)) == granted


def test_a_token_of_the_chat_page_names_no_key() -> None:
    granted = grant(key_id=None)

    assert tokens.read(SIGNER, tokens.issue(SIGNER, granted)) == granted


def test_a_token_with_any_letter_changed_is_no_token() -> None:
    token = tokens.issue(SIGNER, grant())

    for position in range(len("gw_st_"), len(token)):
        letter = "A" if token[position] != "A" else "B"
        assert tokens.read(SIGNER, token[:position] + letter + token[position + 1 :]) is None


def test_what_was_sealed_for_one_purpose_is_unknown_to_another() -> None:
    sealed = SIGNER.seal("cursor", b"{}")

    assert SIGNER.unseal("session token", sealed) is None


def test_another_secret_does_not_know_the_token() -> None:
    assert tokens.read(Signer(b"another"), tokens.issue(SIGNER, grant())) is None


@pytest.mark.parametrize("text", ["", "gw_st_", "gw_st_.", "gw_st_a.b.c", "gw_st_é", "x" * 5000])
def test_nonsense_is_no_token(text: str) -> None:
    assert tokens.read(SIGNER, text) is None


def test_a_token_can_be_prolonged_for_a_month_after_its_end() -> None:
    prolonged = tokens.prolong(grant(), now=NOON + timedelta(days=29))

    assert prolonged is not None
    assert prolonged.expires_at == NOON + timedelta(days=29, hours=1)


def test_a_token_older_than_that_is_lost() -> None:
    assert tokens.prolong(grant(), now=NOON + timedelta(days=31)) is None

"""Cursors: good for the list they were given out for, and for no other."""

import pytest

from gateway.api.http.cursors import Cursors
from gateway.errors import BadRequest
from gateway.service.signing import Signer

LIST = {"path": "/v1/sessions", "order": "desc", "bot": None}


def test_a_cursor_leads_behind_the_row_it_was_made_of() -> None:
    cursors = Cursors(Signer(b"secret"))

    page = cursors.page(cursors.write((17, "ses_1"), of=LIST), limit=5, order="desc", of=LIST)

    assert (page.after, page.limit, page.order) == ((17, "ses_1"), 5, "desc")


@pytest.mark.parametrize("other", [{"order": "asc"}, {"bot": "support"}, {"path": "/v1/x"}])
def test_a_cursor_of_another_list_is_refused(other: dict[str, str]) -> None:
    cursors = Cursors(Signer(b"secret"))
    cursor = cursors.write((17, "ses_1"), of=LIST)

    with pytest.raises(BadRequest) as caught:
        cursors.page(cursor, limit=5, order="desc", of={**LIST, **other})

    assert caught.value.code == "invalid_cursor"


@pytest.mark.parametrize("position", [0, 10, -1])
def test_a_cursor_with_one_letter_changed_is_refused(position: int) -> None:
    cursors = Cursors(Signer(b"secret"))
    letters = list(cursors.write((17, "ses_1"), of=LIST))
    letters[position] = "A" if letters[position] != "A" else "B"

    with pytest.raises(BadRequest):
        cursors.page("".join(letters), limit=5, order="desc", of=LIST)


@pytest.mark.parametrize("text", ["", ".", "a", "é.é", "AAAA.AAAA", "=.=", "a" * 1000])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        Cursors(Signer(b"secret")).page(text, limit=5, order="desc", of=LIST)


def test_a_cursor_of_another_gateway_is_refused() -> None:
    cursor = Cursors(Signer(b"one")).write((17,), of=LIST)

    with pytest.raises(BadRequest):
        Cursors(Signer(b"two")).page(cursor, limit=5, order="desc", of=LIST)

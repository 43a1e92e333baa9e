"""What an update means: recorded updates against what the gateway must be told."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.telegram import parse
from channels.telegram.parse import Ignored, inbound
from channels.telegram.reading import Me, Reading
from gateway.contract import Arrival, Inbound, InboundMessage, MessageEdited, Unreadable

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ME = Me(id=42, username="Our_Bot")
READING = Reading(me=ME, channel="tg")
CASES = sorted((Path(__file__).parent / "updates").glob("*.json"))
STAMP = {"account", "external_id", "digest", "second_id", "received_at", "raw"}

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def recorded(name: str) -> dict:
    return json.loads((Path(__file__).parent / "updates" / f"{name}.json").read_text())["update"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_recorded_update_means_what_it_says(case):
    document = json.loads(case.read_text())

    event = inbound(document["update"], READING, received_at=NOW)

    assert shown(event) == {"reason": getattr(event, "reason", None), **document["expected"]}


def shown(event: Inbound | Ignored) -> dict:
    """An event as the recorded cases write it: without what every event carries."""
    if isinstance(event, Ignored):
        return {"ignored": event.kind, "reason": None}
    fields = {key: value for key, value in asdict(event).items() if key not in STAMP}
    if fields.get("sent_at"):
        fields["sent_at"] = fields["sent_at"].isoformat()
    if "attachments" in fields:
        fields["attachments"] = [filled(attachment) for attachment in fields["attachments"]]
    return {"kind": type(event).__name__, "reason": None, **fields}


def filled(attachment: dict) -> dict:
    return {key: value for key, value in attachment.items() if value is not None}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_every_event_is_known_by_account_and_id(case):
    document = json.loads(case.read_text())

    event = inbound(document["update"], READING, received_at=NOW)

    if not isinstance(event, Ignored):
        readable = not isinstance(event, Unreadable)
        assert event.external_id == ("1000" if readable else f"sha256:{event.digest.hex()}")
        assert (event.account, event.received_at, len(event.digest)) == ("42", NOW, 32)


def test_the_same_update_with_fields_in_another_order_has_the_same_digest():
    update = recorded("private-text")
    turned = dict(reversed(update.items()))

    events = [inbound(u, READING, received_at=NOW) for u in (update, turned)]

    assert events[0] == events[1]


def test_a_channel_open_to_whole_groups_hears_everything():
    reading = Reading(me=ME, channel="tg", groups="all")

    event = inbound(recorded("group-text"), reading, received_at=NOW)

    assert isinstance(event, InboundMessage)
    assert not event.is_direct


@pytest.mark.parametrize(
    "name",
    ["group-mention", "group-reply-to-us", "taken-into-group", "button-pressed-in-group"],
)
def test_a_channel_closed_to_groups_hears_nothing_from_them(name):
    reading = Reading(me=ME, channel="tg", groups="off")

    assert isinstance(inbound(recorded(name), reading, received_at=NOW), Ignored)


def test_a_channel_closed_to_groups_still_hears_edits_in_private():
    reading = Reading(me=ME, channel="tg", groups="off")

    assert isinstance(inbound(recorded("edited-text"), reading, received_at=NOW), MessageEdited)


@pytest.mark.parametrize(
    "update", [None, 1, "text", [], [recorded("private-text")], {}, {"update_id": None}]
)
def test_what_is_no_update_is_kept_raw(update):
    event = inbound(update, READING, received_at=NOW)

    assert isinstance(event, Unreadable)
    assert json.loads(event.raw) == update


def test_an_update_nested_too_deep_to_be_written_down_is_noted():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]

    event = inbound({"update_id": 1, "message": deep}, READING, received_at=NOW)

    assert isinstance(event, Unreadable)
    assert event.reason == "update nested too deep"


@settings(deadline=None)
@given(JSON_VALUES, st.sampled_from(["message", "edited_message", "callback_query", "x"]))
def test_no_value_of_json_makes_parsing_fail(value, kind):
    for update in (value, {"update_id": 1, kind: value}):
        event = inbound(update, READING, received_at=NOW)

        assert isinstance(event, Arrival | Ignored)


def damage(document: dict, data: st.DataObject) -> None:
    """Put any JSON value in any place of a document."""
    key = data.draw(st.sampled_from(sorted(document)))
    if isinstance(document[key], dict) and document[key] and data.draw(st.booleans()):
        damage(document[key], data)
    else:
        document[key] = data.draw(JSON_VALUES)


@settings(deadline=None)
@given(st.data())
def test_a_damaged_update_is_read_ignored_or_kept_raw(data):
    update = recorded(data.draw(st.sampled_from([case.stem for case in CASES])))
    damage(update, data)

    event = inbound(update, READING, received_at=NOW)

    if not isinstance(event, Ignored):
        stored = json.dumps(asdict(event), default=str, ensure_ascii=False).encode()
        assert json.loads(stored)["account"] == event.account


@pytest.mark.parametrize(
    ("update", "found"),
    [({"update_id": 5}, 5), ({"update_id": True}, None), ({"update_id": "5"}, None), ([], None)],
)
def test_the_number_of_an_update_is_a_number_or_nothing(update, found):
    assert parse.update_id(update) == found


@pytest.mark.parametrize(
    ("update", "found"),
    [
        ({"callback_query": {"id": "q1"}}, "q1"),
        ({"callback_query": {"id": 5}}, None),
        ({"callback_query": 5}, None),
        ({"message": {}}, None),
        (5, None),
    ],
)
def test_the_id_of_a_press_is_a_text_or_nothing(update, found):
    assert parse.press_id(update) == found

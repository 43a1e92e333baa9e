"""What an event of Slack's means: documents in, values of the contract out."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.slack.mrkdwn import plain
from channels.slack.parse import inbound
from channels.slack.reading import Reading, teams_of
from gateway.contract import Address, InboundMessage, MessageEdited, Unreadable

NOW = datetime(2026, 11, 20, tzinfo=UTC)
READING = Reading(channel="slack", team="T1", bot_user="U0BOT")
TS = "1531420618.000200"
ROOT = "1531420600.000100"
FIELDS = (
    *("type", "subtype", "channel", "channel_type", "ts", "thread_ts", "user"),
    *("text", "message", "previous_message", "files", "bot_id", "tokens"),
)


def told(event: dict[str, Any], **outer: Any) -> dict[str, Any]:
    return {
        "type": "event_callback",
        "event_id": "Ev1",
        "api_app_id": "A1",
        "event": event,
        **outer,
    }


def message(text: str = "hello", kind: str = "im", **more: Any) -> dict[str, Any]:
    chat = {"im": "D1", "mpim": "G1"}.get(kind, "C1")
    said = {"type": "message", "user": "U1", "text": text, "ts": TS, "channel": chat}
    return {**said, "channel_type": kind, **more}


def read(event: dict[str, Any], reading: Reading = READING) -> Any:
    return inbound(told(event), reading, received_at=NOW)


@pytest.mark.proves("SL-20")
@pytest.mark.parametrize(
    ("event", "thread"),
    [
        (message("<@U0BOT> hi", "channel"), TS),
        (message("<@U0BOT> hi", "group"), TS),
        (message("<@U0BOT> hi", "channel", thread_ts=ROOT), ROOT),
        (message("<@U0BOT> hi", "channel", thread_ts=TS), TS),
        (message("hi", "im"), None),
        (message("hi", "mpim"), None),
        (message("hi", "im", thread_ts=ROOT), ROOT),
    ],
    ids=["channel", "private", "thread", "its root", "dm", "group dm", "thread of a dm"],
)
def test_sl_20_a_mention_opens_a_thread_and_a_direct_message_is_one_talk(event, thread):
    heard = read(event)

    assert heard.address == Address("slack", f"T1:{event['channel']}", thread)
    assert heard.account == "T1"
    assert heard.sender.external_id == "T1:U1"


@pytest.mark.proves("SL-20")
def test_sl_20_each_direct_message_is_a_thread_of_its_own_where_that_is_set():
    by_thread = replace(READING, dm_sessions="thread")

    assert read(message(), by_thread).address.thread == TS
    assert read(message(thread_ts=ROOT), by_thread).address.thread == ROOT


@pytest.mark.proves("SL-20")
@pytest.mark.parametrize(
    ("outer", "teams"),
    [
        ({"team_id": "T1"}, ("T1",)),
        ({"team_id": "T1", "enterprise_id": "E1"}, ("T1", "E1")),
        ({"team_id": "T9", "authorizations": [{"team_id": "T1"}]}, ("T1", "T9")),
        (
            {
                "team_id": "T1",
                "authorizations": [
                    {"enterprise_id": "E1", "team_id": None, "is_enterprise_install": True}
                ],
            },
            ("E1", "T1"),
        ),
        ({"team": {"id": "T1"}, "enterprise": None}, ("T1",)),
        ({"team": None, "enterprise": {"id": "E1"}}, ("E1",)),
        ({"team_id": 7, "authorizations": "?"}, ()),
    ],
    ids=range(7),
)
def test_sl_20_the_workspace_is_where_the_app_is_installed(outer, teams):
    assert teams_of(outer) == teams


@pytest.mark.proves("SL-21")
@pytest.mark.parametrize("kind", ["im", "mpim"])
def test_sl_21_direct_messages_are_for_us_whoever_is_in_them(kind):
    heard = read(message("hi", kind))

    assert isinstance(heard, InboundMessage)
    assert (heard.is_direct, heard.needs_session) == (kind == "im", False)


@pytest.mark.proves("SL-21")
@pytest.mark.parametrize("kind", ["message", "app_mention"])
def test_sl_21_a_mention_is_for_us_by_either_event(kind):
    event = message("<@U0BOT> hi", "channel", type=kind)
    if kind == "app_mention":
        del event["channel_type"]
    heard = read(event)

    assert (heard.text, heard.is_direct, heard.needs_session) == ("hi", False, False)
    assert heard.second_id == f"C1:{TS}"


@pytest.mark.proves("SL-21")
def test_sl_21_in_a_thread_we_hear_where_we_take_part():
    heard = read(message("and then?", "channel", thread_ts=ROOT))

    assert heard.needs_session
    assert heard.address.thread == ROOT


@pytest.mark.proves("SL-21")
@pytest.mark.parametrize(
    "event",
    [
        message("hi all", "channel"),
        message("hi all", "channel", thread_ts=TS),
        message("hi all", "group"),
        message("<@U0BOTX> hi", "channel"),
        message("&lt;@U0BOT&gt; hi", "channel"),
    ],
    ids=["channel", "a root with replies", "private", "another", "quoted"],
)
def test_sl_21_what_people_say_to_each_other_is_not_for_us(event):
    assert read(event) == "message.channel"


@pytest.mark.proves("SL-22", "C-8")
@pytest.mark.parametrize(
    "more",
    [
        {"bot_id": "B9"},
        {"subtype": "bot_message", "bot_id": "B9"},
        {"subtype": "bot_message", "bot_id": "B9", "user": None},
        {"user": "USLACKBOT"},
        {"user": "U0BOT"},
        {"user": "U0BOT", "bot_id": "B0"},
        {"user": "U7", "bot_id": "B0", "app_id": "A1"},
    ],
    ids=range(7),
)
@pytest.mark.parametrize("kind", ["message", "app_mention"])
def test_sl_22_c_8_bots_and_ourselves_are_never_heard(more, kind):
    event = message("<@U0BOT> hi", "channel", type=kind, **more)

    assert str(read(event)).startswith("message.")


@pytest.mark.proves("SL-22")
@pytest.mark.parametrize("allowed", ["B9", "U9", "A9"])
def test_sl_22_a_bot_on_the_list_is_heard_and_marked(allowed):
    reading = replace(READING, allow_bots=frozenset({allowed}))
    heard = read(message(bot_id="B9", user="U9", app_id="A9", subtype="bot_message"), reading)

    assert heard.sender.is_bot
    assert heard.sender.external_id == "T1:U9"


@pytest.mark.proves("SL-22")
def test_sl_22_no_list_lets_in_ourselves():
    reading = replace(READING, allow_bots=frozenset({"U0BOT", "B0", "A1"}))

    assert read(message(user="U0BOT"), reading) == "message.own"
    assert read(message(bot_id="B0", app_id="A1"), reading) == "message.own"


@pytest.mark.proves("SL-23")
@pytest.mark.parametrize("subtype", ["me_message", "file_share", "thread_broadcast"])
def test_sl_23_some_subtypes_are_real_messages(subtype):
    assert read(message("hi", subtype=subtype)).text == "hi"


@pytest.mark.proves("SL-23")
@pytest.mark.parametrize(
    "subtype", ["channel_join", "channel_topic", "message_replied", "pinned_item", "tomorrow"]
)
def test_sl_23_other_subtypes_are_nothing_to_us(subtype):
    assert read(message("hi", subtype=subtype)) == f"message.{subtype}"


def changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    event = {"type": "message", "subtype": "message_changed", "hidden": True, "ts": "9.000001"}
    place = {"channel": old["channel"], "channel_type": old["channel_type"]}
    return {**event, **place, "message": new, "previous_message": old}


@pytest.mark.proves("SL-23")
def test_sl_23_other_words_change_the_message_and_are_no_new_one():
    old = message("helo")
    heard = read(changed(old, {**old, "text": "hello &amp; <@U0BOT>"}))

    assert isinstance(heard, MessageEdited)
    assert (heard.message_ref, heard.text) == (TS, "hello &")
    assert heard.address == read(old).address


@pytest.mark.proves("SL-23")
def test_sl_23_a_link_that_got_its_preview_is_no_change():
    old = message("see <https://a.b>")

    assert read(changed(old, {**old, "attachments": [{"title": "A"}]})) == "message.message_changed"


@pytest.mark.proves("SL-23")
@pytest.mark.parametrize("kind", ["im", "channel"])
def test_sl_23_a_removed_message_has_no_text_any_more(kind):
    old = message("<@U0BOT> oops", kind)
    event = {"type": "message", "subtype": "message_deleted", "hidden": True, "ts": "9.000001"}
    place = {"channel": old["channel"], "channel_type": kind, "deleted_ts": TS}
    heard = read({**event, **place, "previous_message": old})

    assert (heard.message_ref, heard.text) == (TS, "")
    assert heard.address == read(old).address


@pytest.mark.proves("SL-23")
@pytest.mark.parametrize(
    "old",
    [message("a", user="U0BOT"), message("a", bot_id="B9"), message("a", "channel")],
    ids=["ours", "a bot's", "not for us"],
)
def test_sl_23_changes_of_what_was_not_heard_are_nothing(old):
    assert isinstance(read(changed(old, {**old, "text": "b"})), str)


@pytest.mark.proves("SL-24")
@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("&amp;lt;", "&lt;"),
        ("<@U0BOT> hello", "hello"),
        ("hello <@U0BOT|bot>", "hello"),
        ("say <@U0BOT> hello", "say hello"),
        ("ask <@U2|ada> or <@U3>", "ask @ada or @U3"),
        ("in <#C2|general> or <#C3> or <#C4|>", "in #general or #C3 or #C4"),
        ("see <https://a.b/?x=1&amp;y=2>", "see https://a.b/?x=1&y=2"),
        ("see <https://a.b|there>", "see there (https://a.b)"),
        ("see <http://a.b|a.b>", "see a.b"),
        ("<mailto:a@b.c|a@b.c>", "a@b.c"),
        ("<!here> and <!subteam^S1|@team> and <!channel>", "@here and @team and @channel"),
        ("<!date^1392734382^{date}|18 February>", "18 February"),
        ("a <b", "a <b"),
        ("if a &lt;@U0BOT&gt; b", "if a <@U0BOT> b"),
    ],
)
def test_sl_24_text_is_what_its_reader_sees(written, seen):
    assert plain(written, bot_user="U0BOT") == seen


@pytest.mark.proves("SL-24")
@given(st.text())
def test_sl_24_whatever_somebody_types_comes_as_typed(text):
    typed = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    assert plain(typed, bot_user="U0BOT") == text


@pytest.mark.proves("SL-24")
def test_sl_24_nothing_but_a_mention_asks_for_a_greeting():
    assert read(message("<@U0BOT>", "channel")).text == "/start"


@pytest.mark.proves("SL-23")
def test_sl_23_a_removed_message_that_left_its_mark_has_no_text_any_more():
    old = message("oops")
    mark = {**old, "subtype": "tombstone", "text": "This message was deleted.", "user": "U1"}

    assert read(changed(old, mark)).text == ""


def test_a_message_without_a_word_or_a_file_is_nothing():
    assert read(message("")) == "message.empty"


def test_what_every_message_carries():
    heard = read(message(user_profile={"display_name": "Ada"}))

    assert heard.external_id == "Ev1"
    assert len(heard.digest) == 32
    assert heard.message_ref == TS
    assert heard.source_order == 1531420618000200
    assert heard.sent_at == datetime(2018, 7, 12, 18, 36, 58, 200, tzinfo=UTC)
    assert heard.received_at == NOW
    assert (heard.sender.platform, heard.sender.name, heard.sender.is_bot) == (
        "slack",
        "Ada",
        False,
    )


@pytest.mark.proves("SL-27")
def test_sl_27_files_come_with_what_is_known_of_them_and_without_a_secret():
    files = [
        {"url_private": "https://files.slack.com/a.png", "mimetype": "image/png", "name": "a.png"},
        {"url_private": "https://files.slack.com/b", "mimetype": "audio/mp4", "size": 7},
        {"url_private": "https://files.slack.com/c", "mimetype": "video/mp4"},
        {"url_private": "https://files.slack.com/d"},
        {"mode": "tombstone"},
    ]
    heard = read(message("", subtype="file_share", files=files))

    assert [one.kind for one in heard.attachments] == ["image", "audio", "video", "document"]
    first, second, *_ = heard.attachments
    assert (first.name, first.mime, second.size_bytes) == ("a.png", "image/png", 7)
    assert first.ref == '["T1", "https://files.slack.com/a.png"]'


@pytest.mark.proves("C-9")
def test_c_9_what_is_nested_too_deep_does_not_keep_the_words_from_us():
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]

    assert read(message(files=deep)).text == "hello"


@pytest.mark.proves("C-9")
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(FIELDS),
                inner,
                max_size=6,
            )
        ),
        max_leaves=12,
    )
)
def test_c_9_no_document_is_an_error(event):
    meaning = inbound(told(event), READING, received_at=NOW)

    assert isinstance(meaning, str | Unreadable | InboundMessage | MessageEdited)

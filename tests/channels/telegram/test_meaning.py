"""The rules of what an update means, each shown by updates as Telegram sends them."""

from typing import Any

import pytest

from channels.telegram.parse import Ignored, inbound
from channels.telegram.reading import Me, Reading
from channels.telegram.settings import GroupRule
from gateway.contract import (
    ActionPressed,
    Address,
    AddressMoved,
    Inbound,
    InboundMessage,
    MessageEdited,
    Reachability,
    StopPressed,
)
from gateway.testing.telegram import updates
from gateway.testing.telegram.updates import Person
from tests.channels.telegram.test_parse import NOW, READING, recorded

ADA = Person(7, "Ada")
BOT = Person(99, "Other", "other_bot", is_bot=True)
GROUP, FORUM = -5, -1001234567890


def meaning(update: dict[str, Any], *, groups: GroupRule = "mention") -> Inbound | Ignored:
    reading = Reading(me=READING.me, channel="tg", groups=groups)
    return inbound({"update_id": 1000, **update}, reading, received_at=NOW)


def wrote(text: str, *, chat: int = 7, who: Person = ADA, **extra: Any) -> dict[str, Any]:
    return updates.text_message(chat, who, text, message_id=11, date=1_700_000_000, extra=extra)


def mention(text: str, name: str = "@Our_Bot") -> list[dict[str, Any]]:
    return [{"type": "mention", "offset": text.index(name), "length": len(name)}]


def address_of(event: Inbound | Ignored) -> Address:
    assert isinstance(event, InboundMessage | ActionPressed | StopPressed | MessageEdited)
    return event.address


@pytest.mark.proves("TG-20")
@pytest.mark.parametrize("number", [7, 2**52 - 1, 5_000_000_000])
def test_tg_20_chats_and_people_are_known_by_numbers_of_any_size(number):
    person = Person(number, "Ada", "changing_name")

    event = meaning(wrote("hi", chat=number, who=person))

    assert isinstance(event, InboundMessage)
    assert event.address == Address("tg", str(number))
    assert event.sender.external_id == str(number)
    assert event.account == "42"
    assert "changing_name" not in repr(event)


@pytest.mark.proves("TG-20")
def test_tg_20_groups_have_negative_numbers_and_each_writer_their_own():
    heard = [meaning(wrote("hi", chat=FORUM, who=Person(n)), groups="all") for n in (7, 8)]

    assert {address_of(event) for event in heard} == {Address("tg", str(FORUM))}
    assert [e.sender.external_id for e in heard if isinstance(e, InboundMessage)] == ["7", "8"]


@pytest.mark.proves("TG-21")
@pytest.mark.parametrize("chat", [7, FORUM], ids=["private", "group"])
@pytest.mark.parametrize(
    ("fields", "thread"),
    [
        ({"message_thread_id": 12, "is_topic_message": True}, "12"),
        ({"message_thread_id": 1, "is_topic_message": True}, None),
        ({"message_thread_id": 12}, None),
        ({}, None),
    ],
    ids=["topic", "general topic", "replies", "none"],
)
def test_tg_21_a_topic_is_kept_and_the_general_one_left_out(chat, fields, thread):
    event = meaning(wrote("hi", chat=chat, **fields), groups="all")

    assert address_of(event) == Address("tg", str(chat), thread)


@pytest.mark.proves("TG-21")
def test_tg_21_a_button_and_an_edit_belong_to_their_topic_too():
    message = wrote("hi", chat=FORUM, message_thread_id=12, is_topic_message=True)["message"]
    pressed = updates.callback_query(ADA, "yes", query_id="q", on_message=message)
    edited = updates.edited_message(message, "ho", edit_date=1_700_000_001)

    assert {address_of(meaning(event)).thread for event in (pressed, edited)} == {"12"}


@pytest.mark.proves("TG-23")
@pytest.mark.parametrize(
    "name",
    [
        *("group-mention", "group-text-mention", "group-reply-to-us", "group-mention-after-emoji"),
        *("group-command", "group-command-to-us", "group-caption-mention"),
        *("group-photo-with-command", "group-voice-reply-to-us"),
    ],
)
def test_tg_23_in_a_group_what_is_said_to_us_is_heard(name):
    event = inbound(recorded(name), READING, received_at=NOW)

    assert isinstance(event, InboundMessage)
    assert not event.is_direct
    assert "@our_bot" not in event.text.partition(" ")[0].lower() or "mention" in name


@pytest.mark.proves("TG-23")
@pytest.mark.parametrize(
    "name",
    [
        *("group-text", "group-mention-of-another", "group-reply-to-another"),
        *("group-text-mention-of-another", "group-name-without-entity", "group-voice-to-nobody"),
        *("group-text-in-topic-that-we-made", "group-command-to-another-bot"),
        "group-photo-with-command-to-another-bot",
    ],
)
def test_tg_23_in_a_group_what_is_said_to_others_is_not(name):
    event = inbound(recorded(name), READING, received_at=NOW)

    assert event in {Ignored("message.to_others"), Ignored("message.command_to_another_bot")}


@pytest.mark.proves("TG-23")
@pytest.mark.parametrize(
    ("groups", "text", "is_heard"),
    [
        ("all", "anything", True),
        ("all", "/help@other_bot", False),
        ("off", "@Our_Bot hi", False),
        ("mention", "@Our_Bot hi", True),
        ("mention", "anything", False),
    ],
)
def test_tg_23_the_rule_for_groups_decides(groups, text, is_heard):
    entities = mention(text) if "@Our_Bot" in text else updates.command_entities(text)
    extra = {"entities": entities} if isinstance(entities, list) else entities

    assert isinstance(meaning(wrote(text, chat=GROUP, **extra), groups=groups), Inbound) is is_heard


@pytest.mark.proves("TG-23")
@pytest.mark.parametrize(
    ("written", "text"),
    [("/Help@OUR_bot me", "/Help me"), ("/new@our_bot", "/new"), ("/stop", "/stop")],
)
def test_tg_23_our_own_name_is_taken_off_a_command(written, text):
    event = meaning(wrote(written, chat=GROUP))

    assert isinstance(event, InboundMessage)
    assert event.text == text


@pytest.mark.proves("TG-23")
@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("@Our_Bot /new", "/new"),
        ("@Our_Bot, /help@our_bot", "/help"),
        ("@Our_Bot link BCDF-2345", "link BCDF-2345"),
        ("@Our_Bot links?", "@Our_Bot links?"),
        ("@Our_Bot hi /new", "@Our_Bot hi /new"),
    ],
)
def test_tg_23_a_command_may_stand_behind_a_mention_of_us(written, text):
    event = meaning(wrote(written, chat=GROUP, entities=mention(written)))

    assert isinstance(event, InboundMessage)
    assert event.text == text


@pytest.mark.proves("TG-24", "C-8")
@pytest.mark.parametrize(
    ("who", "extra", "kind"),
    [
        (BOT, {}, "message.bot"),
        (Person(42, "Us", "Our_Bot", is_bot=True), {}, "message.bot"),
        (Person(1087968824, "Group", is_bot=True), {}, "message.sender_chat"),
        (Person(1087968824, "Group"), {}, "message.sender_chat"),
        (ADA, {"sender_chat": {"id": FORUM, "type": "supergroup"}}, "message.sender_chat"),
        (Person(777000, "Telegram"), {"sender_chat": {"id": -1}}, "message.sender_chat"),
    ],
    ids=["a bot", "ourselves", "anonymous admin", "by number", "as the group", "linked channel"],
)
def test_tg_24_c_8_who_is_no_person_gets_no_answer(who, extra, kind):
    for chat in (7, GROUP):
        text = "/start@Our_Bot"
        assert meaning(wrote(text, chat=chat, who=who, **extra), groups="all") == Ignored(kind)


@pytest.mark.proves("TG-24", "C-8")
def test_tg_24_c_8_a_bot_that_presses_or_edits_gets_no_answer():
    message = wrote("hi", who=BOT)["message"]
    pressed = updates.callback_query(BOT, "yes", query_id="q", on_message=message)
    edited = updates.edited_message(message, "ho", edit_date=1)

    assert meaning(pressed) == Ignored("callback_query.bot")
    assert meaning(edited) == Ignored("edited_message.bot")


@pytest.mark.proves("TG-25")
@pytest.mark.parametrize(
    ("name", "text"),
    [("edited-text", None), ("edited-caption", "better")],
)
def test_tg_25_an_edit_is_told_as_an_edit_with_its_new_text(name, text):
    event = inbound(recorded(name), READING, received_at=NOW)

    assert isinstance(event, MessageEdited)
    assert event.message_ref == "11"
    assert text is None or event.text == text


@pytest.mark.proves("TG-25")
def test_tg_25_a_caption_taken_off_leaves_the_picture():
    event = inbound(recorded("edited-photo-without-caption"), READING, received_at=NOW)

    assert event == Ignored("edited_message.caption_removed")


@pytest.mark.proves("TG-25")
def test_tg_25_a_place_that_moves_is_no_edit_of_a_person():
    event = inbound(recorded("edited-live-location"), READING, received_at=NOW)

    assert event == Ignored("edited_message.location")


@pytest.mark.proves("TG-26", "TG-27")
def test_tg_26_tg_27_items_of_an_album_carry_its_id_and_their_own_captions():
    items = [
        updates.photo_message(
            7,
            ADA,
            caption,
            file_id=f"f{number}",
            message_id=number,
            date=1,
            extra={"media_group_id": "g1"},
        )
        for number, caption in enumerate(["", "these two", ""])
    ]
    events = [meaning(item) for item in items]

    heard = [event for event in events if isinstance(event, InboundMessage)]
    assert [event.group_id for event in heard] == ["g1"] * 3
    assert [event.text for event in heard] == ["", "these two", ""]
    assert [event.attachments[0].ref for event in heard] == ["f0", "f1", "f2"]


@pytest.mark.proves("TG-27")
@pytest.mark.parametrize("before", ["", "👋🏽 ", "𝄞𝄞 é "], ids=["none", "emoji", "music"])
def test_tg_27_a_mention_in_a_caption_is_found_by_utf_16_offsets(before):
    offset = len(before.encode("utf-16-le")) // 2
    entity = {"type": "mention", "offset": offset, "length": 8}
    caption = f"{before}@our_bot look"
    update = updates.photo_message(
        GROUP,
        ADA,
        caption,
        file_id="f",
        message_id=1,
        date=1,
        extra={"caption_entities": [entity]},
    )

    event = meaning(update)

    assert isinstance(event, InboundMessage)
    assert event.text == caption


@pytest.mark.proves("TG-28")
@pytest.mark.parametrize("name", ["group-upgraded", "supergroup-made-from-group"])
def test_tg_28_a_group_that_got_a_new_number_is_moved_by_either_message(name):
    update = recorded(name)
    message = update["message"]

    event = inbound(update, READING, received_at=NOW)

    here = message["chat"]["id"]
    old = message.get("migrate_from_chat_id", here)
    new = message.get("migrate_to_chat_id", here)
    assert isinstance(event, AddressMoved)
    assert (event.old, event.new) == (Address("tg", str(old)), Address("tg", str(new)))
    assert old != new


@pytest.mark.proves("TG-29")
@pytest.mark.parametrize(("name", "is_reachable"), [("blocked", False), ("unblocked", True)])
def test_tg_29_blocking_and_unblocking_is_told(name, is_reachable):
    event = inbound(recorded(name), READING, received_at=NOW)

    assert isinstance(event, Reachability)
    assert (event.address.chat, event.is_reachable) == ("7", is_reachable)


@pytest.mark.proves("TG-30")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("button-pressed", "yes"),
        ("button-pressed-on-old-message", "yes"),
        ("button-pressed-by-number", "A long value"),
    ],
)
def test_tg_30_a_pressed_button_carries_its_value_also_a_long_one(name, value):
    event = inbound(recorded(name), READING, received_at=NOW)

    assert isinstance(event, ActionPressed)
    assert event.value == value


@pytest.mark.proves("TG-32")
def test_tg_32_a_voice_note_is_sound_in_ogg():
    event = inbound(recorded("voice-without-type"), READING, received_at=NOW)

    assert isinstance(event, InboundMessage)
    [note] = event.attachments
    assert (note.kind, note.mime) == ("audio", "audio/ogg")


@pytest.mark.proves("TG-51")
@pytest.mark.parametrize(
    ("name", "thread"), [("generation-stopped", None), ("generation-stopped-in-topic", "12")]
)
def test_tg_51_the_stop_button_is_the_persons_own(name, thread):
    event = inbound(recorded(name), READING, received_at=NOW)

    assert isinstance(event, StopPressed)
    assert event.address == Address("tg", "7", thread)
    assert event.sender.external_id == "7"


KINDS = sorted(updates.ALL_KINDS - {"message", "edited_message", "callback_query"})
HANDLED = {"my_chat_member", "stopped_message_generation"}


@pytest.mark.proves("TG-15", "C-9")
@pytest.mark.parametrize("kind", [*(k for k in KINDS if k not in HANDLED), "telepathy"])
def test_tg_15_c_9_a_kind_we_do_not_handle_is_ignored_by_its_name(kind):
    assert meaning({kind: {"anything": [1, None]}}) == Ignored(kind)


@pytest.mark.proves("TG-15", "C-9")
def test_tg_15_c_9_fields_nobody_knows_yet_change_nothing():
    plain = wrote("hi")
    strange = wrote("hi", aura={"colour": "blue"}, mood=[1, 2])
    strange["aura"] = 5

    events = [meaning(update) for update in (plain, strange)]

    for event in events:
        assert isinstance(event, InboundMessage)
        assert (event.text, event.attachments) == ("hi", ())


@pytest.mark.proves("C-5")
def test_c_5_messages_are_ordered_by_telegrams_own_number():
    update = updates.text_message(7, ADA, "hi", message_id=4711, date=1)

    event = meaning(update)

    assert isinstance(event, InboundMessage)
    assert event.source_order == 4711


@pytest.mark.proves("C-3")
def test_c_3_an_update_is_known_by_bot_and_number_whatever_the_channel_is_called():
    other = Reading(me=Me(id=42, username="Our_Bot"), channel="renamed")
    update = {"update_id": 1000, **wrote("hi")}

    first = inbound(update, READING, received_at=NOW)
    again = inbound(update, other, received_at=NOW)

    assert isinstance(first, InboundMessage)
    assert isinstance(again, InboundMessage)
    assert (
        (first.account, first.external_id) == (again.account, again.external_id) == ("42", "1000")
    )
    assert first.digest == again.digest

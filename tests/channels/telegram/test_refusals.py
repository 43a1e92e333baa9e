"""The whole table of Telegram's failures, a case a row, and what a part may lose to arrive."""

from dataclasses import dataclass, field

import pytest

from channels.telegram import sending
from channels.telegram.outgoing import outgoing
from channels.telegram.render import TEXT_UNITS
from gateway.contract import Address, AddressMoved, Receipt
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, GatewayError
from gateway.testing import misbehaviour
from gateway.testing.pace import Window
from gateway.testing.telegram import faults
from gateway.testing.telegram.endpoint import TelegramServer
from gateway.testing.telegram.faults import ApiError, TelegramFault
from gateway.testing.telegram.pace import Rates
from tests.channels.telegram.running import Running, connected, polling

MIGRATED = -1_000_000_000_123
GROUP = Address("tg", "-5", "12")
PART = {
    "text": "bold words",
    "entities": [{"type": "bold", "offset": 0, "length": 4}],
    "reply_to": "99",
}


def bad(words: str) -> ApiError:
    return ApiError(400, f"Bad Request: {words}")


@dataclass(frozen=True)
class Row:
    """One row of the table: the answer, how often it comes, and what is to come of it."""

    name: str
    fault: TelegramFault
    error: type[GatewayError] | None = None
    scope: str = ""
    times: int | None = 1
    tries: int = 1
    loses: dict[str, object] = field(default_factory=dict)


TABLE = [
    Row("401", faults.unauthorized(), DeliveryRefused, "account"),
    Row("404 of the token", ApiError(404, "Not Found"), DeliveryRefused, "account"),
    Row("404 of a method", ApiError(404, "Not Found: method not found"), DeliveryRefused, "part"),
    Row("403 blocked", faults.blocked_by_user(), DeliveryRefused, "address"),
    Row("403 deactivated", faults.user_deactivated(), DeliveryRefused, "address"),
    Row("403 kicked", faults.kicked_from_group(), DeliveryRefused, "address"),
    Row(
        "403 no member",
        ApiError(403, "Forbidden: bot is not a member of the channel chat"),
        DeliveryRefused,
        "address",
    ),
    Row(
        "403 group deleted",
        ApiError(403, "Forbidden: the group chat was deleted"),
        DeliveryRefused,
        "address",
    ),
    Row("400 chat not found", faults.chat_not_found(), DeliveryRefused, "address"),
    Row("400 peer", bad("PEER_ID_INVALID"), DeliveryRefused, "address"),
    Row("400 migrated", faults.migrated_to(MIGRATED), tries=2, loses={"chat_id": MIGRATED}),
    Row(
        "400 migrated for ever",
        faults.migrated_to(MIGRATED),
        DeliveryRefused,
        "part",
        times=None,
        tries=2,
    ),
    Row("400 entities", faults.cannot_parse_entities(), tries=2, loses={"entities": None}),
    Row(
        "400 entities for ever",
        faults.cannot_parse_entities(),
        DeliveryRefused,
        "part",
        times=None,
        tries=2,
    ),
    Row("400 entity bounds", bad("ENTITY_BOUNDS_INVALID"), tries=2, loses={"entities": None}),
    Row("400 not modified", bad("message is not modified: same content")),
    Row(
        "400 no reply target",
        bad("message to be replied not found"),
        tries=2,
        loses={"reply_parameters": None},
    ),
    Row(
        "400 no thread",
        bad("message thread not found"),
        tries=2,
        loses={"message_thread_id": None},
    ),
    Row("400 other", bad("something of tomorrow"), DeliveryRefused, "part"),
    Row("400 rights", faults.not_enough_rights(), DeliveryRefused, "part"),
    Row("409", faults.other_poller(), DeliveryLater, "address"),
    Row("413", ApiError(413, "Request Entity Too Large"), DeliveryRefused, "part"),
    Row("429", faults.flood(17), DeliveryLater, "address"),
    Row("500", ApiError(500, "Internal Server Error"), DeliveryUnknown),
    Row("502 of a proxy", misbehaviour.HtmlError(502), DeliveryUnknown),
    Row("200 of a stranger", misbehaviour.HtmlError(200, "<html>login</html>"), DeliveryUnknown),
    Row("dropped after", misbehaviour.Drop(accepted=True), DeliveryUnknown),
    Row("dropped before", misbehaviour.Drop(accepted=False), DeliveryUnknown),
]


@pytest.mark.proves("C-7", "C-12", "TG-28", "TG-43")
@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
async def test_c_7_c_12_tg_28_tg_43_each_failure_of_the_table_ends_as_it_says(row: Row):
    async with connected() as running:
        running.telegram.fail("sendMessage", row.fault, times=row.times)
        deliver = running.channel.deliver(GROUP, PART, delivery_id="dlv_1")
        if row.error is None:
            await deliver
        else:
            with pytest.raises(row.error) as failed:
                await deliver
            assert getattr(failed.value, "scope", "") == row.scope

        calls = running.telegram.calls_of("sendMessage")
        assert len(calls) == row.tries
        if row.loses:
            first, last = calls
            changed = {
                name: last.params.get(name)
                for name in first.params
                if last.params.get(name) != first.params[name]
            }
            assert changed == row.loses


@pytest.mark.proves("C-7")
async def test_c_7_a_timeout_after_writing_is_in_doubt(monkeypatch):
    monkeypatch.setattr("channels.telegram.transport.READ_S", 0.1)
    async with connected() as running:
        running.telegram.fail("sendMessage", misbehaviour.Hang(accepted=True))

        with pytest.raises(DeliveryUnknown):
            await running.send("hello")
        assert len(running.telegram.calls_of("sendMessage")) == 1


@pytest.mark.proves("TG-28")
async def test_tg_28_an_upgraded_group_is_told_to_the_gateway_with_both_ids():
    async with connected() as running:
        running.telegram.fail("sendMessage", faults.migrated_to(MIGRATED))
        await running.send("hello", chat=-5)

        [moved] = running.host.inbound
        assert isinstance(moved, AddressMoved)
        assert (moved.old.chat, moved.new.chat) == ("-5", str(MIGRATED))


TOO_LONG = bad("message is too long")


def shorter_than(limit: int):
    """A server that takes only shorter texts than it should."""
    return lambda call: len(call.params["text"]) > limit


@pytest.mark.proves("TG-40")
async def test_tg_40_a_text_that_is_too_long_after_all_goes_in_smaller_pieces_once():
    text = " ".join(f"w{number}" for number in range(800))
    async with connected() as running:
        running.telegram.fail("sendMessage", TOO_LONG, times=None, when=shorter_than(3000))
        receipt = await send_all(running, f"**{text}**")

        sent = running.telegram.sent(7)
        assert " ".join(message.text for message in sent) == text
        assert [message.entities[0]["type"] for message in sent] == ["bold"] * len(sent)
        assert receipt.provider_id == str(sent[0].message_id)


@pytest.mark.proves("TG-40")
@pytest.mark.parametrize("text", ["word " * 800, "short"])
async def test_tg_40_a_text_that_stays_too_long_is_refused(text):
    async with connected() as running:
        running.telegram.fail("sendMessage", TOO_LONG, times=None)

        with pytest.raises(DeliveryRefused) as refused:
            await send_all(running, text)
        assert refused.value.scope == "part"
        assert len(running.telegram.calls_of("sendMessage")) <= 2


@pytest.mark.proves("C-11", "TG-40")
async def test_c_11_a_part_that_was_cut_goes_on_where_it_was_interrupted():
    text = " ".join(f"w{number}" for number in range(800))
    async with connected() as running:
        running.telegram.fail("sendMessage", TOO_LONG, times=None, when=shorter_than(3000))
        running.telegram.fail(
            "sendMessage", faults.flood(1), when=lambda call: "w799" in call.params["text"]
        )
        with pytest.raises(DeliveryLater):
            await send_all(running, text)
        before = len(running.telegram.sent(7))
        receipt = await send_all(running, text)

        sent = running.telegram.sent(7)
        assert before > 0
        assert " ".join(message.text for message in sent) == text
        assert receipt.provider_id == str(sent[0].message_id)


@pytest.mark.proves("TG-40")
async def test_tg_40_a_caption_that_is_too_long_after_all_goes_before_its_file():
    async with connected() as running:
        running.host.files["file_1"] = b"pdf!"
        running.telegram.fail("sendDocument", bad("message caption is too long"))
        media = {"kind": "document", "ref": "file_1", "name": "a.pdf", "mime": "application/pdf"}
        part = {"text": "x" * 900, "entities": [], "media": media, "buttons": [["Yes", "yes"]]}
        await running.channel.deliver(Address("tg", "7"), part, delivery_id="dlv_1")

        text, file = running.telegram.sent(7)
        assert (text.method, file.method, file.text) == ("sendMessage", "sendDocument", "")
        assert "reply_markup" not in text.params
        assert file.params["reply_markup"]


@pytest.mark.proves("TG-41")
async def test_tg_41_the_pace_of_people_groups_and_the_account_is_telegrams():
    async with connected() as running:
        pace = running.channel.capabilities.pace

    assert pace.slow is not None
    assert (pace.account_per_s, pace.address_per_s) == (30, 1)
    assert pace.slow(GROUP)
    assert not pace.slow(Address("tg", "7"))
    assert pace.slow_burst + 60 * pace.slow_per_s <= 20


@pytest.mark.proves("TG-42")
async def test_tg_42_a_platform_that_limits_a_chat_is_believed_with_its_time():
    rates = Rates(per_chat=Window(1, 3.0))
    async with connected(TelegramServer(rates=rates)) as running:
        await running.send("one")
        with pytest.raises(DeliveryLater) as later:
            await running.send("two")
        await running.send("other", chat=8)

        assert later.value.retry_after_s is not None
        assert 1 <= later.value.retry_after_s <= 3
        assert later.value.scope == "address"


@pytest.mark.proves("TG-21")
async def test_tg_21_the_general_topic_is_addressed_by_leaving_it_out():
    async with polling() as running:
        await running.send("hello", chat=-5, thread="1")
        await running.send("hello", chat=7, thread="1")

        general, private = running.telegram.calls_of("sendMessage")
        assert "message_thread_id" not in general.params
        assert private.params["message_thread_id"] == 1


def test_a_part_as_it_was_stored_long_ago_is_sent_still():
    message = outgoing(Address("tg", "7"), {"text": "hello", "entities": []})

    assert (message.text, message.media, message.buttons) == ("hello", None, ())


async def send_all(running: Running, text: str) -> Receipt:
    """Send a text that is one part for us."""
    [part] = running.parts(text)
    assert len(part["text"]) <= TEXT_UNITS
    return await running.channel.deliver(Address("tg", "7"), part, delivery_id="dlv_1")


@pytest.mark.proves("C-7")
async def test_c_7_a_success_that_names_no_message_is_in_doubt():
    async with connected() as running:
        odd = misbehaviour.HtmlError(200, '{"ok": true, "result": true}')
        running.telegram.fail("sendMessage", odd)

        with pytest.raises(DeliveryUnknown):
            await running.send("hello")


async def test_of_parts_that_were_interrupted_only_the_latest_are_remembered(monkeypatch):
    monkeypatch.setattr(sending, "_BEGUN_MOST", 1)
    async with connected() as running:
        running.telegram.fail("sendMessage", TOO_LONG, times=None, when=shorter_than(3000))
        for text in ("one " * 900, "two " * 900):
            running.telegram.fail(
                "sendMessage", faults.flood(1), when=lambda call: len(call.params["text"]) < 2000
            )
            with pytest.raises(DeliveryLater):
                await send_all(running, text)
        for text in ("two " * 900, "one " * 900):
            await send_all(running, text)

        said = " ".join(message.text for message in running.telegram.sent(7)).split()
        assert said.count("two") == 900
        assert said.count("one") > 900

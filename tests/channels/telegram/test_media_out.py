"""Files, buttons and rich messages on their way out, over real sockets."""

import asyncio
import re
from collections.abc import AsyncGenerator

import pytest

from channels.telegram import media_out, transport
from channels.telegram.bot_api import UPLOADS_AT_ONCE
from channels.telegram.media_out import DOCUMENT_BYTES, PHOTO_BYTES, media_of
from channels.telegram.outgoing import call_of, outgoing
from channels.telegram.render import CAPTION_UNITS, parts
from gateway.contract import Address, Attachment, Button, OutboundMessage, Receipt, ReplyTo
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, NotFound, StoreError
from gateway.testing import TelegramServer, misbehaviour
from gateway.testing.telegram import faults
from tests.channels.telegram.running import Running, connected
from tests.testing.telegram.client import spec_file_if_any

HERE = Address("tg", "7")
PICTURE = Attachment("image", "file_1", "cat.png", "image/png", 4)
REPORT = Attachment("document", "file_2", "Bericht März.pdf", "application/pdf", 4)


def message(
    text: str = "",
    *files: Attachment,
    buttons: tuple[Button, ...] = (),
    address: Address = HERE,
    reply_to: ReplyTo | None = None,
) -> OutboundMessage:
    return OutboundMessage(
        address=address, text=text, attachments=files, buttons=buttons, reply_to=reply_to
    )


async def deliver(running: Running, out: OutboundMessage, *, rich: bool = False) -> list[Receipt]:
    return [
        await running.channel.deliver(out.address, part, delivery_id=f"dlv_{number}")
        for number, part in enumerate(parts(out, rich=rich))
    ]


def judged() -> TelegramServer:
    """A fake that judges every call by the specification where there is one."""
    return TelegramServer(spec=spec_file_if_any())


@pytest.mark.proves("TG-32")
@pytest.mark.parametrize(
    ("kind", "mime", "method"),
    [
        ("image", "image/jpeg", "sendPhoto"),
        ("image", "image/svg+xml", "sendDocument"),
        ("audio", "audio/ogg; codecs=opus", "sendVoice"),
        ("audio", "audio/mpeg", "sendAudio"),
        ("audio", "audio/x-wav", "sendDocument"),
        ("video", "video/mp4", "sendVideo"),
        ("video", "video/x-matroska", "sendDocument"),
        ("document", "application/pdf", "sendDocument"),
        ("document", None, "sendDocument"),
    ],
)
async def test_tg_32_a_file_goes_as_what_telegram_shows_of_its_type(kind, mime, method):
    async with connected(judged()) as running:
        running.host.files["file_1"] = b"\x00\xffbytes"
        await deliver(running, message("", Attachment(kind, "file_1", "a file", mime)))

        [sent] = running.telegram.sent(7)
        [upload] = sent.uploads.values()
        assert sent.method == method
        assert (upload.file_name, upload.content) == ("a file", b"\x00\xffbytes")
        assert running.telegram.problems == []


@pytest.mark.proves("TG-40")
async def test_tg_40_a_short_text_stands_below_the_first_file_formatted():
    async with connected(judged()) as running:
        running.host.files = {"file_1": b"png!", "file_2": b"pdf!"}
        out = message("**Look**", PICTURE, REPORT, buttons=(Button("Yes", "yes"),))
        await deliver(running, out)

        photo, document = running.telegram.sent(7)
        assert (photo.method, photo.params["caption"]) == ("sendPhoto", "Look")
        assert photo.params["caption_entities"] == [{"type": "bold", "offset": 0, "length": 4}]
        assert (document.method, document.text) == ("sendDocument", "")
        assert document.uploads["document"].file_name == "Bericht März.pdf"
        assert "reply_markup" not in photo.params
        assert document.params["reply_markup"]["inline_keyboard"][0][0]["text"] == "Yes"
        assert running.telegram.problems == []


@pytest.mark.proves("TG-40")
async def test_tg_40_a_text_too_long_for_a_caption_goes_first():
    async with connected() as running:
        running.host.files = {"file_1": b"png!"}
        await deliver(running, message("x" * (CAPTION_UNITS + 1), PICTURE))

        assert [s.method for s in running.telegram.sent(7)] == ["sendMessage", "sendPhoto"]


async def test_a_file_answers_where_the_question_was_asked():
    async with connected() as running:
        running.host.files = {"file_1": b"png!"}
        group = Address("tg", "-5", "12")
        asked = running.telegram.post_text(-5, 7, "?")["message"]["message_id"]
        await deliver(
            running, message("", PICTURE, address=group, reply_to=ReplyTo(str(asked), "7"))
        )

        [sent] = running.telegram.sent(-5)
        assert (sent.thread, sent.reply_to) == (12, asked)


async def test_a_large_file_arrives_whole_from_many_pieces():
    async def file(_: str) -> AsyncGenerator[bytes, None]:
        for number in range(200):
            yield bytes([number]) * 65_536

    async with connected() as running:
        running.host.opens = file
        await deliver(running, message("", REPORT))

        [upload] = running.telegram.sent(7)[0].uploads.values()
        assert upload.content[::65_536] == bytes(range(200))
        assert len(upload.content) == 200 * 65_536


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (Attachment("document", "file_9", "gone.pdf"), "it is not stored any more"),
        (Attachment("image", "file_9", "gone.png", "image/png"), "it is not stored any more"),
        (Attachment("document", "x", "a.bin", None, DOCUMENT_BYTES + 1), "too large for Telegram"),
    ],
    ids=["gone", "gone photo", "known to be large"],
)
async def test_a_file_that_cannot_be_sent_is_replaced_by_words(file, words):
    async with connected() as running:
        await deliver(running, message("Here it is.", file))

        said = "\n".join(sent.text for sent in running.telegram.sent(7))
        assert said.startswith("Here it is.")
        assert f"{file.name} could not be sent: " in said
        assert words in said
        assert {sent.method for sent in running.telegram.sent(7)} == {"sendMessage"}


async def test_a_file_that_turns_out_too_large_on_the_way_is_replaced_by_words(monkeypatch):
    monkeypatch.setattr(media_out, "DOCUMENT_BYTES", 100_000)

    async def endless(_: str) -> AsyncGenerator[bytes, None]:
        while True:
            yield b"x" * 65_536

    async with connected() as running:
        running.host.opens = endless
        await deliver(running, message("Here it is.", REPORT))

        [sent] = running.telegram.sent(7)
        assert "too large for Telegram" in sent.text


async def test_a_photo_that_turns_out_too_large_goes_as_a_document(monkeypatch):
    monkeypatch.setattr(media_out, "PHOTO_BYTES", 100)

    async def photo(_: str) -> AsyncGenerator[bytes, None]:
        for _number in range(3):
            yield b"x" * 60

    async with connected() as running:
        running.host.opens = photo
        await deliver(running, message("Look", PICTURE))

        [sent] = running.telegram.sent(7)
        assert (sent.method, sent.text) == ("sendDocument", "Look")


async def test_a_photo_known_to_be_too_large_is_a_document_from_the_start():
    large = Attachment("image", "file_1", "cat.png", "image/png", PHOTO_BYTES + 1)

    assert media_of(large)["kind"] == "document"


@pytest.mark.parametrize(
    ("refusals", "method"),
    [
        ([faults.ApiError(400, "Bad Request: PHOTO_INVALID_DIMENSIONS")], "sendDocument"),
        ([faults.ApiError(400, "Bad Request: IMAGE_PROCESS_FAILED")] * 2, "sendMessage"),
        ([faults.ApiError(413, "Request Entity Too Large")] * 2, "sendMessage"),
    ],
    ids=["dimensions", "twice", "413"],
)
async def test_a_refused_photo_goes_as_a_document_and_then_in_words(refusals, method):
    async with connected() as running:
        running.host.files = {"file_1": b"png!"}
        running.telegram.fail("*", *refusals)
        await deliver(running, message("Look", PICTURE))

        [sent] = running.telegram.sent(7)
        assert sent.method == method
        assert sent.text.startswith("Look")


async def test_a_file_that_the_store_cannot_give_now_is_sent_later():
    async def broken(_: str) -> AsyncGenerator[bytes, None]:
        yield b"first"
        raise StoreError("the disk is away")

    async with connected() as running:
        running.host.opens = broken
        with pytest.raises(DeliveryLater):
            await deliver(running, message("", REPORT))

        assert running.telegram.sent() == []


async def test_a_store_that_is_away_before_the_first_byte_means_later():
    def broken(_: str) -> AsyncGenerator[bytes, None]:
        raise StoreError("the disk is away")

    async with connected() as running:
        running.host.opens = broken
        with pytest.raises(DeliveryLater):
            await deliver(running, message("", REPORT))


async def test_a_file_that_was_not_sent_whole_was_certainly_not_taken(monkeypatch):
    monkeypatch.setattr(transport, "UPLOAD_S", 0.1)

    async def slow(_: str) -> AsyncGenerator[bytes, None]:
        yield b"first"
        await asyncio.Event().wait()

    async with connected() as running:
        running.host.opens = slow
        with pytest.raises(DeliveryLater):
            await deliver(running, message("", REPORT))


@pytest.mark.proves("C-7")
@pytest.mark.parametrize(
    "fault",
    [misbehaviour.Drop(accepted=True), misbehaviour.HtmlError(502)],
    ids=["dropped", "502"],
)
async def test_c_7_a_file_that_was_sent_whole_and_not_answered_is_in_doubt(fault):
    async with connected() as running:
        running.host.files = {"file_1": b"png!"}
        running.telegram.fail("sendPhoto", fault)
        with pytest.raises(DeliveryUnknown):
            await deliver(running, message("", PICTURE))


async def test_files_on_their_way_are_few_and_hold_up_no_text():
    async with connected() as running:
        running.host.files = {"file_1": b"png!"}
        hang = running.telegram.fail("sendPhoto", misbehaviour.Hang(), times=None)
        tasks = [
            asyncio.create_task(deliver(running, message("", PICTURE)))
            for _ in range(2 * UPLOADS_AT_ONCE)
        ]
        await running.telegram.wait_for_calls("sendPhoto", UPLOADS_AT_ONCE)
        await running.send("hello")
        waiting = hang.used
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        assert waiting == UPLOADS_AT_ONCE
        assert [sent.text for sent in running.telegram.sent(7)] == ["hello"]


async def test_a_file_for_nobody_is_a_refusal_and_no_words():
    async with connected() as running:
        running.host.files = {"file_1": b"png!"}
        running.telegram.fail("sendPhoto", faults.chat_not_found())
        with pytest.raises(DeliveryRefused) as refused:
            await deliver(running, message("", PICTURE))

        assert refused.value.scope == "address"
        assert len(running.telegram.calls_of("sendMessage")) == 0


@pytest.mark.parametrize("name", ['a"b\r\nX: y\x00/../c.txt', "", None, "n" * 500, "图.png"])
async def test_a_files_name_is_one_and_breaks_no_form(name):
    async with connected(judged()) as running:
        running.host.files = {"file_1": b"bytes"}
        await deliver(running, message("", Attachment("document", "file_1", name, "text/plain")))

        [upload] = running.telegram.sent(7)[0].uploads.values()
        assert 1 <= len(upload.file_name) <= 120
        assert not re.search(r'[\x00-\x1f"/\\]', upload.file_name)
        assert running.telegram.problems == []


class TestButtons:
    """What a person may choose, below the last part."""

    async def test_buttons_stand_below_the_last_part_and_carry_their_value(self):
        async with connected(judged()) as running:
            out = message("word " * 1500, buttons=(Button("Yes!", "yes"), Button("No", "no")))
            await deliver(running, out)

            first, last = running.telegram.sent(7)
            assert "reply_markup" not in first.params
            assert last.params["reply_markup"]["inline_keyboard"] == [
                [{"text": "Yes!", "callback_data": "yes"}],
                [{"text": "No", "callback_data": "no"}],
            ]
            assert running.telegram.problems == []

    @pytest.mark.proves("TG-30")
    @pytest.mark.parametrize(
        ("value", "is_carried"),
        [
            ("v" * 64, True),
            ("v" * 65, False),
            ("é" * 32, True),
            ("é" * 33, False),
            ("=0", False),
        ],
    )
    def test_tg_30_a_value_of_more_than_64_bytes_is_the_text_itself(self, value, is_carried):
        [part] = parts(message("Choose", buttons=(Button("First", "1"), Button("Label", value))))

        text, data = part["buttons"][1]
        assert (text, data) == (("Label", value) if is_carried else (value, "=1"))
        assert len(data.encode()) <= 64

    def test_a_button_without_a_value_is_its_label(self):
        [part] = parts(message("Choose", buttons=(Button("Label", ""), Button(" ", ""))))

        assert part["buttons"] == [["Label", "=0"]]


class TestRich:
    """Rich messages, where they are switched on."""

    @pytest.mark.proves("TG-45")
    async def test_tg_45_a_long_formatted_answer_is_one_rich_message(self):
        table = "| a | b |\n|---|---|\n| 1 | <b>2</b> |"
        async with connected(judged()) as running:
            await deliver(running, message(f"# Title\n\n{table}\n\n" + "word " * 2000), rich=True)

            [sent] = running.telegram.sent(7)
            assert sent.method == "sendRichMessage"
            assert sent.text.startswith("<h1>Title</h1><table>")
            assert "&lt;b&gt;2&lt;/b&gt;" in sent.text
            assert running.telegram.problems == []

    @pytest.mark.proves("TG-45")
    @pytest.mark.parametrize(
        "fault",
        [
            faults.ApiError(400, "Bad Request: RICH_MESSAGE_INVALID"),
            faults.ApiError(404, "Not Found: method not found"),
        ],
        ids=["refused", "unknown"],
    )
    async def test_tg_45_a_refused_rich_message_goes_as_ordinary_ones(self, fault):
        words = [f"w{number}" for number in range(2000)]
        async with connected() as running:
            running.telegram.fail("sendRichMessage", fault)
            out = message("**b** " + " ".join(words), buttons=(Button("Yes", "yes"),))
            [receipt] = await deliver(running, out, rich=True)

            sent = running.telegram.sent(7)
            assert " ".join(s.text for s in sent).split() == ["b", *words]
            assert sent[0].entities == ({"type": "bold", "offset": 0, "length": 1},)
            assert [("reply_markup" in s.params) for s in sent] == [False, False, True]
            assert receipt.provider_id == str(sent[0].message_id)
            assert running.telegram.problems == []

    @pytest.mark.proves("TG-45")
    def test_tg_45_rich_messages_are_off_unless_they_are_asked_for(self):
        [part] = parts(message("# Title"))

        assert "rich" not in part
        assert call_of(outgoing(HERE, part), link_previews=False)[0] == "sendMessage"

    async def test_pictures_are_links_so_that_nothing_is_loaded_from_where_a_model_says(self):
        async with connected(judged()) as running:
            out = message('![a "cat"](https://x.example/?q=1&b=2) <img src="y">')
            await deliver(running, out, rich=True)

            [sent] = running.telegram.sent(7)
            assert "<img" not in sent.text
            assert '<a href="https://x.example/?q=1&amp;b=2">' in sent.text

    @pytest.mark.parametrize("text", ["x" * 32_769, "[" * 16_000, "- item\n" * 600])
    def test_what_has_no_place_in_a_rich_message_goes_as_ordinary_ones(self, text):
        made = parts(message(text), rich=True)

        assert len(made) > 1
        assert not any("rich" in part for part in made)


async def test_a_file_that_vanishes_while_it_is_sent_is_tried_again():
    async def vanishing(_: str) -> AsyncGenerator[bytes, None]:
        yield b"first"
        raise NotFound("There is no such file.")

    async with connected() as running:
        running.host.opens = vanishing
        with pytest.raises(DeliveryLater):
            await deliver(running, message("", REPORT))

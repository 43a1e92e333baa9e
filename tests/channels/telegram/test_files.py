"""Files that people send: fetched later by their id, piece by piece, within Telegram's limit."""

import logging
from contextlib import aclosing

import pytest

from channels.telegram import bot_api, files, transport
from gateway.contract import Attachment
from gateway.errors import DeliveryLater, DeliveryRefused
from gateway.testing import TelegramServer, misbehaviour
from gateway.testing.telegram import faults
from tests.channels.telegram.running import Running, channel_for, connected, polling
from tests.channels.telegram.test_secrets import every_text
from tests.testing.telegram.client import spec_file

OURS = Attachment(kind="document", ref="file-1")


async def fetched(running: Running, attachment: Attachment = OURS) -> bytes:
    async with aclosing(running.channel.fetch(attachment)) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_a_photo_somebody_sent_is_fetched_by_what_arrived():
    async with polling() as running:
        running.telegram.post_photo(7, 7, "look")
        await running.host.until(lambda: running.host.texts == ["look"])
        [attachment] = running.host.inbound[0].attachments

        assert await fetched(running, attachment) == b"\xff\xd8\xff\xe0 a photo"


@pytest.mark.proves("TG-31")
async def test_tg_31_name_type_and_size_are_those_of_the_message():
    async with polling() as running:
        running.telegram.post_file(7, 7, b"12345", name="bill.pdf", mime="application/pdf")
        await running.host.until(lambda: len(running.host.inbound) == 1)

        [attachment] = running.host.inbound[0].attachments
        assert (attachment.name, attachment.mime) == ("bill.pdf", "application/pdf")
        assert (attachment.kind, attachment.size_bytes) == ("document", 5)
        assert running.telegram.calls_of("getFile") == []


@pytest.mark.proves("TG-31")
async def test_tg_31_a_file_comes_in_pieces_and_is_never_whole_in_memory():
    content = bytes(range(256)) * 20_000
    async with connected() as running:
        running.telegram.add_file(content)
        sizes = [len(piece) async for piece in running.channel.fetch(OURS)]

    assert sum(sizes) == len(content)
    assert max(sizes) < len(content) / 4


@pytest.mark.proves("TG-31")
async def test_tg_31_a_file_over_the_limit_is_refused_in_words_without_a_call():
    huge = Attachment(kind="video", ref="file-1", size_bytes=21 * 1024 * 1024)
    async with connected() as running:
        with pytest.raises(DeliveryRefused, match="up to 20 MB") as refused:
            await fetched(running, huge)

        assert refused.value.code == "file_too_large"
        assert running.telegram.calls_of("getFile") == []


@pytest.mark.proves("TG-31")
async def test_tg_31_a_file_that_said_nothing_of_its_size_is_refused_by_telegram():
    async with connected() as running:
        running.telegram.add_file(b"x", size_bytes=21 * 1024 * 1024)
        with pytest.raises(DeliveryRefused, match="up to 20 MB"):
            await fetched(running)


async def test_a_file_whose_real_size_shows_only_while_it_comes_is_cut_off(monkeypatch):
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 100)
    async with connected() as running:
        running.telegram.add_file(b"x" * 101, size_bytes=0)
        with pytest.raises(DeliveryRefused, match="larger"):
            await fetched(running)


async def test_a_server_with_a_larger_limit_does_not_lift_ours(monkeypatch):
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 100)
    async with connected() as running:
        running.telegram.add_file(b"x" * 101)
        with pytest.raises(DeliveryRefused, match="up to 20 MB"):
            await fetched(running)

        assert running.telegram.calls_of("file") == []


async def test_a_file_larger_than_it_said_is_refused():
    async with connected() as running:
        running.telegram.add_file(b"x" * 1000, size_bytes=10)
        with pytest.raises(DeliveryRefused, match="larger than Telegram said"):
            await fetched(running)


async def test_a_file_smaller_than_it_said_is_tried_again():
    async with connected() as running:
        running.telegram.add_file(b"x", size_bytes=10)
        with pytest.raises(DeliveryLater, match="only a part"):
            await fetched(running)


async def test_a_download_that_breaks_off_is_tried_again():
    async with connected() as running:
        running.telegram.add_file(b"x" * 100, breaks_after=3)
        with pytest.raises(DeliveryLater):
            await fetched(running)


async def test_a_download_that_stands_still_is_given_up(monkeypatch):
    monkeypatch.setattr(transport, "READ_S", 0.05)
    async with connected() as running:
        running.telegram.fail("file", misbehaviour.Hang())
        running.telegram.add_file(b"x")
        with pytest.raises(DeliveryLater):
            await fetched(running)


async def test_a_download_that_takes_too_long_as_a_whole_is_given_up(monkeypatch):
    monkeypatch.setattr(bot_api, "FILE_S", 0.05)
    async with connected() as running:
        running.telegram.fail("file", misbehaviour.Slow(5))
        running.telegram.add_file(b"x")
        with pytest.raises(DeliveryLater):
            await fetched(running)


@pytest.mark.parametrize("call", ["getFile", "file"])
@pytest.mark.parametrize(
    "fault",
    [
        faults.flood(3),
        misbehaviour.Drop(accepted=False),
        misbehaviour.HtmlError(502),
        misbehaviour.HtmlError(302),
        faults.ApiError(400, "Bad Request: wrong file_id or the file is temporarily unavailable"),
    ],
    ids=["429", "dropped", "502", "302", "unavailable"],
)
async def test_troubles_of_the_platform_are_tried_again(call, fault):
    async with connected() as running:
        running.telegram.add_file(b"x")
        running.telegram.fail(call, fault, times=None)
        with pytest.raises(DeliveryLater):
            await fetched(running)
        running.telegram.forget_faults()

        assert await fetched(running) == b"x"


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("getFile", faults.ApiError(400, "Bad Request: invalid file_id")),
        ("file", faults.ApiError(404, "Not Found")),
    ],
)
async def test_a_file_that_is_gone_is_refused_for_good(call, fault):
    async with connected() as running:
        running.telegram.add_file(b"x")
        running.telegram.fail(call, fault)
        with pytest.raises(DeliveryRefused, match="any more"):
            await fetched(running)


async def test_a_revoked_token_concerns_the_whole_account():
    async with connected() as running:
        running.telegram.add_file(b"x")
        running.telegram.fail("getFile", faults.unauthorized())
        with pytest.raises(DeliveryRefused) as refused:
            await fetched(running)

    assert refused.value.scope == "account"


@pytest.mark.parametrize("path", ["/var/lib/bot-api/1/a.jpg", "../../etc/passwd", "a/../../b"])
async def test_a_path_that_is_not_below_the_bots_own_is_not_asked_for(path):
    async with connected() as running:
        answer = f'{{"ok":true,"result":{{"file_id":"f","file_path":"{path}"}}}}'
        running.telegram.fail("getFile", misbehaviour.HtmlError(200, answer))
        with pytest.raises(DeliveryRefused, match="only it can read"):
            await fetched(running)


@pytest.mark.parametrize("result", ["true", "{}", "[]", '{"file_path": 5, "file_size": "x"}'])
async def test_an_answer_that_names_no_file_is_survived(result):
    async with connected() as running:
        answer = f'{{"ok":true,"result":{result}}}'
        running.telegram.fail("getFile", misbehaviour.HtmlError(200, answer))
        with pytest.raises((DeliveryLater, DeliveryRefused)):
            await fetched(running)


async def test_a_name_with_any_signs_in_it_can_be_fetched():
    async with connected() as running:
        running.telegram.add_file(b"x", name="a b?c#d%é.pdf")

        assert await fetched(running) == b"x"


async def test_leaving_a_file_halfway_lets_the_next_one_come(monkeypatch):
    monkeypatch.setattr(bot_api, "FILES_AT_ONCE", 1)
    async with connected() as running:
        running.telegram.add_file(b"x" * 5_000_000)
        for _ in range(3):
            async with aclosing(running.channel.fetch(OURS)) as pieces:
                assert await anext(pieces)


async def test_a_channel_that_is_not_connected_fetches_later():
    async with connected() as running:
        with pytest.raises(DeliveryLater):
            channel_for(running.telegram).fetch(OURS)


@pytest.mark.proves("C-10", "TG-31")
@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 500])
@pytest.mark.parametrize("call", ["getFile", "file"])
async def test_c_10_tg_31_no_error_and_no_log_holds_the_address_of_a_file(call, status, caplog):
    caplog.set_level(logging.DEBUG)
    async with connected() as running:
        token = running.telegram.token
        running.telegram.add_file(b"x")
        page = f'{{"ok":false,"description":"cannot GET /file/bot{token}/files/1/file.bin"}}'
        running.telegram.fail(call, misbehaviour.HtmlError(status, page))
        with pytest.raises((DeliveryLater, DeliveryRefused)) as failed:
            await fetched(running)

    assert not any(token in text for text in every_text(failed.value))
    assert token not in caplog.text


async def test_the_calls_for_a_file_keep_to_the_specification():
    async with polling(TelegramServer(spec=spec_file())) as running:
        running.telegram.post_file(7, 7, b"x", kind="voice")
        await running.host.until(lambda: len(running.host.inbound) == 1)
        await fetched(running, running.host.inbound[0].attachments[0])

        assert running.telegram.problems == []

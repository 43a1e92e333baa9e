"""Files of people are fetched from Twilio; files of ours are fetched by Twilio."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from channels.twilio.api import TwilioApi
from channels.twilio.files_in import DELETE_AFTER, Leftovers
from channels.twilio.files_out import VALID_S, FileLinks, LinkedFile
from gateway.contract import Attachment
from gateway.errors import DeliveryLater, DeliveryRefused, StoreError
from gateway.testing import HtmlError
from gateway.testing.twilio.faults import TwilioError
from gateway.testing.twilio.messages import MediaFile
from tests.channels.twilio.running import PERSON, Running, clean, connected

PICTURE = Attachment("image", "file_1", "cat.jpg", "image/jpeg")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BYTES = b"\xff\xd8" + bytes(200_000)


async def read(running: Running, attachment: Attachment) -> bytes:
    return b"".join([piece async for piece in running.channel.fetch(attachment)])


async def arrived(running: Running, content: bytes = BYTES) -> Attachment:
    """A picture that a person sent."""
    running.twilio.post_sms(PERSON, "Look", media=[MediaFile(content, "image/jpeg")])
    await running.twilio.wait_until_quiet()
    [attachment] = running.host.inbound[-1].attachments
    assert isinstance(attachment, Attachment)
    return attachment


@pytest.mark.proves("TW-12", "C-4")
async def test_tw_12_a_file_is_fetched_with_credentials_that_stay_with_twilio() -> None:
    async with connected() as running:
        with clean(running):
            attachment = await arrived(running)
            assert running.twilio.calls_of("DownloadMedia") == []

            assert await read(running, attachment) == BYTES

        [call] = running.twilio.calls_of("DownloadMedia")
        credentials = base64.b64decode(call.headers["authorization"].removeprefix("Basic "))
        assert credentials.decode() == f"{running.twilio.account_sid}:{running.twilio.auth_token}"
        assert (attachment.kind, attachment.mime) == ("image", "image/jpeg")


@pytest.mark.proves("TW-12")
async def test_tw_12_a_file_over_the_cap_is_not_read_on(monkeypatch) -> None:
    monkeypatch.setattr("channels.twilio.files_in.MAX_BYTES", 10)
    async with connected() as running:
        attachment = await arrived(running, b"eleven byte")
        with pytest.raises(DeliveryRefused):
            await read(running, attachment)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (TwilioError(20404), DeliveryRefused),
        (TwilioError(20003), DeliveryRefused),
        (HtmlError(502), DeliveryLater),
        (TwilioError(20429), DeliveryLater),
    ],
    ids=repr,
)
async def test_a_file_that_is_not_given_says_whether_to_try_again(fault, error) -> None:
    async with connected() as running:
        attachment = await arrived(running)
        running.twilio.fail("DownloadMedia", fault)
        with pytest.raises(error):
            await read(running, attachment)


@pytest.mark.parametrize("ref", ["", "https://evil.example/x", "../../secrets", "SM1/ME2"])
async def test_what_is_no_file_of_a_message_is_not_asked_for(ref) -> None:
    async with connected() as running:
        with pytest.raises(DeliveryRefused):
            await read(running, Attachment("image", ref))
        assert running.twilio.calls_of("DownloadMedia") == []


@pytest.mark.proves("TW-12")
async def test_tw_12_a_file_is_removed_at_twilio_some_time_after_it_was_read() -> None:
    async with connected(delete_media=True) as running:
        with clean(running):
            attachment = await arrived(running)
            await read(running, attachment)
            leftovers, api = Leftovers(running.host), running.channel._connected_wire().mailer.api

            await leftovers.remove(api, now=datetime.now(UTC))
            assert running.twilio.calls_of("DeleteMedia") == []
            await leftovers.remove(api, now=datetime.now(UTC) + DELETE_AFTER)
            assert len(running.twilio.calls_of("DeleteMedia")) == 1

        assert running.host.notes == {}


@pytest.mark.proves("TW-12")
async def test_tw_12_it_stays_there_unless_that_is_wished() -> None:
    async with connected() as running:
        await read(running, await arrived(running))
        assert running.host.notes == {}


async def test_a_file_that_is_gone_already_is_forgotten() -> None:
    async with connected() as running:
        leftovers, api = Leftovers(running.host), running.channel._connected_wire().mailer.api
        await leftovers.add(f"SM{'0' * 32}/ME{'0' * 32}")
        await leftovers.remove(api, now=datetime.now(UTC) + DELETE_AFTER)

        assert running.host.notes == {}


async def test_removing_goes_on_after_twilio_was_away() -> None:
    async with connected() as running:
        leftovers, api = Leftovers(running.host), running.channel._connected_wire().mailer.api
        assert isinstance(api, TwilioApi)
        await leftovers.add(f"SM{'0' * 32}/ME{'0' * 32}")
        running.twilio.fail("DeleteMedia", HtmlError(502))
        with pytest.raises(Exception, match="502"):
            await leftovers.remove(api, now=datetime.now(UTC) + DELETE_AFTER)

        assert running.host.notes


# ---------------------------------------------------------------- ours


@pytest.mark.proves("TW-30")
async def test_tw_30_a_file_of_ours_is_offered_at_a_signed_address() -> None:
    async with connected() as running:
        with clean(running):
            running.host.files["file_1"] = BYTES
            await running.send("Here", PICTURE)

        [call] = running.twilio.calls_of("CreateMessage")
        url = call.get("MediaUrl")
        assert url.startswith(f"{running.hook}/media/")
        async with running.client.get(url) as answer:
            assert (answer.status, answer.content_type) == (200, "image/jpeg")
            assert await answer.read() == BYTES
        async with running.client.head(url) as answer:
            assert answer.status == 200


async def test_no_other_address_shows_anything() -> None:
    async with connected() as running:
        running.host.files["file_1"] = BYTES
        token = FileLinks("another secret").token(LinkedFile("file_1", None), now=datetime.now(UTC))
        good = running.channel._links.token(LinkedFile("file_1", None), now=datetime.now(UTC))
        gone = running.channel._links.token(LinkedFile("file_2", None), now=datetime.now(UTC))
        bad = [token, good[:-3], good.replace(".", "A."), "", "x", "ü.ü", gone, good + "/.."]
        for step in bad:
            async with running.client.get(f"{running.hook}/media/{step}") as answer:
                assert answer.status == 404, step
                assert BYTES not in await answer.read()


@pytest.mark.parametrize("mime", [None, "text/html\r\nX-Evil: 1", "nonsense"])
async def test_a_type_that_is_none_is_sent_as_bytes(mime) -> None:
    async with connected() as running:
        running.host.files["file_1"] = b"x"
        token = running.channel._links.token(LinkedFile("file_1", mime), now=datetime.now(UTC))
        async with running.client.get(f"{running.hook}/media/{token}") as answer:
            assert answer.content_type == "application/octet-stream"


async def test_a_store_that_is_away_is_asked_again_for_the_file() -> None:
    async with connected() as running:

        async def away(ref: str):
            if ref:
                raise StoreError("the store is away")
            yield b""

        running.host.open_file = away  # type: ignore[method-assign]  # a store that is away
        token = running.channel._links.token(LinkedFile("file_1", None), now=datetime.now(UTC))
        async with running.client.get(f"{running.hook}/media/{token}") as answer:
            assert answer.status == 503


def test_an_address_ends_after_an_hour() -> None:
    links = FileLinks("secret")
    file = LinkedFile("file_1", "image/jpeg")
    token = links.token(file, now=NOW)

    assert links.read(token, now=NOW + timedelta(seconds=VALID_S - 1)) == file
    assert links.read(token, now=NOW + timedelta(seconds=VALID_S)) is None
    assert "file_1" not in token

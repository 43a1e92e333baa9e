"""Files out: streamed from the store to the address Slack gives, then shared in the thread."""

import pytest

from gateway.contract import Attachment, Json
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown
from gateway.testing import Drop, HtmlError
from gateway.testing.slack.faults import SlackError
from tests.channels.slack.sending_half import sending_half

STEPS = ["files.getUploadURLExternal", "upload", "files.completeUploadExternal"]
PHOTO: Json = {"file": {"ref": "f1", "name": "photo.png", "size_bytes": 30_000}}
UNMEASURED: Json = {"file": {"ref": "f1", "name": "photo.png", "size_bytes": None}}
CONTENT = b"abc" * 10_000


@pytest.mark.proves("SL-27")
@pytest.mark.parametrize("part", [PHOTO, UNMEASURED], ids=["measured", "to be measured"])
async def test_sl_27_a_file_is_uploaded_in_three_steps_and_shared_in_the_thread(part: Json) -> None:
    async with sending_half() as half:
        address = half.thread()
        half.host.files["f1"] = CONTENT
        await half.deliver(address, part)

        [message] = half.shown()
        assert message.thread_ts == address.thread
        assert [(file["name"], file["size"]) for file in message.files] == [("photo.png", 30_000)]
        assert half.slack.calls_of("upload")[0].body == CONTENT
        assert [call.method for call in half.slack.calls if call.method in STEPS] == STEPS
        assert half.slack.problems == []


async def test_a_reply_with_a_file_is_its_text_and_then_the_file() -> None:
    async with sending_half() as half:
        address = half.thread()
        half.host.files["f1"] = CONTENT
        photo = Attachment("image", "f1", name="photo.png", size_bytes=30_000)
        await half.say(address, "Look", attachments=[photo])

        assert [(m.text, len(m.files)) for m in half.shown()] == [("Look", 0), ("", 1)]


@pytest.mark.parametrize("fault", [Drop(accepted=True), HtmlError(502)], ids=["lost", "502"])
@pytest.mark.parametrize("step", STEPS[:2])
async def test_before_the_last_step_nothing_is_shown_and_nothing_in_doubt(
    step: str, fault: Drop | HtmlError
) -> None:
    async with sending_half() as half:
        address = half.thread()
        half.host.files["f1"] = CONTENT
        half.slack.fail(step, fault)
        with pytest.raises(DeliveryLater):
            await half.deliver(address, PHOTO)
        await half.deliver(address, PHOTO)

        assert len(half.shown()) == 1


async def test_a_file_whose_last_answer_was_lost_is_found() -> None:
    async with sending_half() as half:
        address = half.thread()
        half.host.files["f1"] = CONTENT
        assert await half.find(address, PHOTO) is None
        half.slack.fail(STEPS[2], Drop(accepted=True))
        with pytest.raises(DeliveryUnknown):
            await half.deliver(address, PHOTO)

        assert await half.find(address, PHOTO) == half.shown()[0].ts
        assert await half.find(address, {"file": {**PHOTO["file"], "size_bytes": 1}}) is None
        assert await half.find(address) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, 3), (b"", None), (b"abcd", 3), (b"ab", 3)],
    ids=["gone", "empty", "longer than said", "shorter than said"],
)
async def test_a_file_that_cannot_be_sent_is_refused(
    content: bytes | None, said: int | None
) -> None:
    async with sending_half() as half:
        address = half.thread()
        if content is not None:
            half.host.files["f1"] = content
        with pytest.raises(DeliveryRefused):
            await half.deliver(
                address, {"file": {"ref": "f1", "name": "a.txt", "size_bytes": said}}
            )

        assert half.shown() == []


async def test_a_refusal_to_take_files_is_final() -> None:
    async with sending_half() as half:
        address = half.thread()
        half.host.files["f1"] = CONTENT
        half.slack.fail(STEPS[0], SlackError("missing_scope", needed="files:write"))
        with pytest.raises(DeliveryRefused):
            await half.deliver(address, PHOTO)

        assert half.host.states[-1][0] == "degraded"

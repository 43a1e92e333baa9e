"""Parts on Slack: posted once, found again, finished in the message that grew, never twice."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import pytest

from channels.slack.places import EVENT_TYPE
from gateway.contract import Address, Button, SentQuery
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, GatewayError
from gateway.testing import Drop, HtmlError
from gateway.testing.slack.faults import SlackError, rate_limited
from tests.channels.slack.sending_half import Half, part_of, sending_half

NOW: Final = datetime.now(UTC)


async def opened(half: Half, address: Address, text: str = "") -> str:
    """A stream with some text, of which this process knows all."""
    async with half.outgoing.live(address, half.replying(address), open_ref=None) as output:
        assert output is not None
        ref = await output.open("dlv_1")
        if text:
            await output.show(text)
        return ref


async def abandoned(half: Half, address: Address, text: str = "") -> str:
    """A stream that another process opened and did not finish."""
    team, _, channel = address.chat.partition(":")
    params = {
        "channel": channel,
        "thread_ts": address.thread,
        "recipient_team_id": team,
        "recipient_user_id": "U1",
        "markdown_text": text or None,
    }
    return str((await half.outgoing.calls.call(team, "chat.startStream", params))["ts"])


# ---------------------------------------------------------------- posting


@pytest.mark.proves("SL-43")
async def test_sl_43_links_do_not_unfold_unless_configured() -> None:
    async with sending_half() as half, sending_half(settings={"unfurl": True}) as unfolding:
        await half.say(half.thread(), "https://example.com")
        await unfolding.say(unfolding.thread(), "https://example.com")

        [[quiet], [loud]] = (each.slack.calls_of("chat.postMessage") for each in (half, unfolding))
        assert (quiet.params["unfurl_links"], quiet.params["unfurl_media"]) == (False, False)
        assert (loud.params["unfurl_links"], loud.params["unfurl_media"]) == (True, True)


@pytest.mark.proves("C-6")
async def test_c_6_a_part_stands_in_its_thread_and_carries_the_id_of_its_delivery() -> None:
    async with sending_half() as half:
        address = half.thread()
        receipt = await half.deliver(address, part_of("Hello"), delivery_id="dlv_7")

        [message] = half.shown()
        assert receipt.provider_id == message.ts
        assert message.thread_ts == address.thread
        assert message.metadata == {
            "event_type": EVENT_TYPE,
            "event_payload": {"outbox_id": "dlv_7"},
        }


async def test_a_thread_whose_first_message_is_gone_is_left() -> None:
    async with sending_half() as half:
        told = half.slack.post_message("C1", "U1", "Hello")
        address = Address("slack", f"{half.slack.workspace.id}:C1", told["event"]["ts"])
        half.slack.delete_message(told)
        await half.deliver(address, part_of("Hello"))

        assert [(m.text, m.thread_ts) for m in half.shown()] == [("Hello", None)]


@pytest.mark.proves("SL-41", "C-12")
async def test_sl_41_what_slack_finds_too_long_is_said_in_smaller_pieces() -> None:
    async with sending_half() as half:
        address = half.thread()
        half.slack.fail("chat.postMessage", SlackError("msg_too_long"))
        part = part_of("word " * 1000)
        await half.deliver(address, part)

        assert [message.text.count("word") for message in half.shown()] == [600, 400]
        assert await half.find(address, part) == half.shown()[-1].ts
        assert half.slack.problems == []


@pytest.mark.proves("C-12")
async def test_c_12_what_slack_takes_in_no_form_is_said_without_formatting() -> None:
    async with sending_half() as half:
        address = half.thread()
        half.slack.fail("chat.postMessage", SlackError("invalid_blocks"))
        await half.say(address, "Is **this** <it>?", buttons=[Button("Yes", "y")])

        [message] = half.shown()
        assert message.text == "Is **this** &lt;it&gt;?\n• Yes"
        assert not message.is_markdown
        assert message.blocks == ()


async def test_what_slack_never_takes_is_refused_after_its_plainest_form() -> None:
    async with sending_half() as half:
        address = half.thread()
        half.slack.fail("chat.postMessage", SlackError("msg_too_long"), times=None)
        with pytest.raises(DeliveryRefused) as caught:
            await half.deliver(address, part_of("word " * 1000))

        assert caught.value.scope == "part"
        assert len(half.slack.calls_of("chat.postMessage")) == 3


# ---------------------------------------------------------------- patience


@pytest.mark.proves("SL-40")
async def test_sl_40_a_throttled_channel_is_left_alone_until_its_time() -> None:
    async with sending_half() as half:
        first, second = half.thread("C1"), half.thread("C2")
        half.slack.fail("chat.postMessage", rate_limited(30))
        for _ in range(2):
            with pytest.raises(DeliveryLater) as caught:
                await half.deliver(first, part_of("Hello"))
            assert caught.value.retry_after_s is not None
            assert 15 < caught.value.retry_after_s <= 30
        await half.deliver(second, part_of("Hello"))

        assert len(half.slack.calls_of("chat.postMessage")) == 2
        assert [message.channel for message in half.shown()] == ["C2"]
        assert half.slack.early == []


@pytest.mark.proves("SL-40")
async def test_sl_40_other_methods_wait_by_workspace_and_posts_go_on() -> None:
    async with sending_half() as half:
        address = half.thread()
        ref = await abandoned(half, address)
        half.slack.fail("chat.stopStream", rate_limited(30))
        for _ in range(2):
            with pytest.raises(DeliveryLater):
                await half.deliver(address, part_of("Hello"), open_ref=ref)
        await half.deliver(half.thread("C2"), part_of("Hello"))

        assert len(half.slack.calls_of("chat.stopStream")) == 1
        assert len(half.slack.calls_of("chat.postMessage")) == 1


# ---------------------------------------------------------------- finishing what was opened


@pytest.mark.proves("SL-44")
@pytest.mark.parametrize("is_known", [True, False], ids=["by its process", "by another"])
async def test_sl_44_a_stream_is_finished_in_its_own_message(is_known: bool) -> None:
    async with sending_half() as half:
        address = half.thread()
        ref = await (opened if is_known else abandoned)(half, address, "Hello")
        receipt = await half.deliver(address, part_of("Hello there"), open_ref=ref)

        [message] = half.shown()
        assert receipt.provider_id == ref == message.ts
        assert (message.text, message.is_streaming) == ("Hello there", False)
        assert len(half.slack.calls_of("chat.update")) == int(not is_known)
        assert half.slack.problems == []


@pytest.mark.proves("SL-44")
async def test_sl_44_a_stream_that_showed_something_else_is_updated() -> None:
    async with sending_half() as half:
        address = half.thread()
        ref = await opened(half, address, "I believe")
        await half.deliver(address, part_of("It is so"), open_ref=ref)

        [message] = half.shown()
        assert (message.text, message.is_streaming) == ("It is so", False)


async def test_buttons_stand_under_a_finished_stream() -> None:
    async with sending_half() as half:
        for know in (opened, abandoned):
            address = half.thread()
            ref = await know(half, address, "Choose")
            part = {"markdown": "Choose one", "buttons": [{"label": "Yes", "value": "y"}]}
            await half.deliver(address, part, open_ref=ref)

        assert [message.blocks[-1]["type"] for message in half.shown()] == ["actions", "actions"]
        assert [message.text for message in half.shown()] == ["Choose one", "Choose one"]
        assert half.slack.problems == []


@pytest.mark.proves("SL-45")
async def test_sl_45_a_stream_that_slack_closed_is_finished_by_an_update() -> None:
    async with sending_half(stream_lasts_s=0.0) as half:
        address = half.thread()
        ref = await abandoned(half, address, "Hello")
        await half.deliver(address, part_of("Hello there"), open_ref=ref)

        [message] = half.shown()
        assert (message.ts, message.text, message.is_streaming) == (ref, "Hello there", False)


@pytest.mark.parametrize("fault", [Drop(accepted=True), Drop(accepted=False), HtmlError(502)])
@pytest.mark.parametrize("method", ["chat.stopStream", "chat.update"])
async def test_a_doubtful_end_is_put_there_again(method: str, fault: Drop | HtmlError) -> None:
    async with sending_half() as half:
        address = half.thread()
        ref = await abandoned(half, address, "Hello")
        half.slack.fail(method, fault)
        with pytest.raises(DeliveryUnknown):
            await half.deliver(address, part_of("Hello there"), open_ref=ref)
        await half.deliver(address, part_of("Hello there"), open_ref=ref)

        [message] = half.shown()
        assert (message.ts, message.text, message.is_streaming) == (ref, "Hello there", False)


async def test_an_opened_message_that_is_gone_is_posted_anew() -> None:
    async with sending_half() as half:
        address = half.thread()
        ref = await abandoned(half, address)
        await half.deliver(address, {}, open_ref=ref)
        receipt = await half.deliver(address, part_of("Hello"), open_ref=ref)

        [message] = half.shown()
        assert receipt.provider_id == message.ts != ref


@pytest.mark.proves("SL-44")
@pytest.mark.parametrize("error", ["invalid_arguments", "a_word_of_next_year"])
async def test_sl_44_what_cannot_be_finished_for_any_reason_is_posted_anew(error: str) -> None:
    async with sending_half() as half:
        address = half.thread()
        ref = await opened(half, address, "Hello")
        half.slack.fail("chat.stopStream", SlackError(error))
        half.slack.fail("chat.update", SlackError(error))
        receipt = await half.deliver(address, part_of("Hello, world."), open_ref=ref)

        assert receipt.provider_id != ref
        assert half.slack.sent()[-1].text == "Hello, world."


async def test_a_file_is_shared_although_the_message_before_it_cannot_be_removed() -> None:
    async with sending_half() as half:
        address = half.thread()
        ref = await opened(half, address)
        half.slack.fail("chat.delete", SlackError("a_word_of_next_year"))

        assert (await half.deliver(address, {}, open_ref=ref)).provider_id == ref


async def test_too_much_for_an_opened_message_goes_on_below_it() -> None:
    async with sending_half() as half:
        address = half.thread()
        ref = await opened(half, address, "word")
        half.slack.fail("chat.stopStream", SlackError("msg_too_long"))
        await half.deliver(address, part_of("word " * 1000), open_ref=ref)

        first, second = half.shown()
        assert (first.ts, first.is_streaming) == (ref, False)
        assert (first.text.count("word"), second.text.count("word")) == (600, 400)


async def test_a_message_that_was_opened_for_nothing_is_removed_once_and_again() -> None:
    async with sending_half() as half:
        address = half.thread()
        ref = await opened(half, address, "Hel")
        for _ in range(2):
            await half.deliver(address, {}, open_ref=ref)

        assert half.shown() == []


# ---------------------------------------------------------------- finding what was sent


@pytest.mark.proves("C-7")
@pytest.mark.parametrize("place", ["thread", "channel"])
async def test_c_7_a_post_whose_answer_was_lost_is_found_by_its_metadata(place: str) -> None:
    async with sending_half() as half:
        address = half.thread() if place == "thread" else half.address()
        part = part_of("Hello")
        half.slack.fail("chat.postMessage", Drop(accepted=True))
        with pytest.raises(DeliveryUnknown):
            await half.deliver(address, part, delivery_id="dlv_1")
        await half.deliver(address, part, delivery_id="dlv_2")

        assert await half.find(address, part, delivery_id="dlv_1") == half.shown()[0].ts
        assert await half.find(address, part, delivery_id="dlv_2") == half.shown()[1].ts
        assert await half.find(address, part, delivery_id="dlv_3") is None
        assert half.slack.problems == []


async def test_an_unfinished_message_is_found_only_by_an_empty_part() -> None:
    async with sending_half() as half:
        address = half.thread()
        await half.deliver(address, part_of("Before"), delivery_id="dlv_0")
        ref = await abandoned(half, address, "Hel")

        assert await half.find(address, part_of("Hello")) is None
        assert await half.find(address) == ref
        await half.deliver(address, part_of("Hello"), open_ref=ref)
        assert await half.find(address) == ref
        assert await half.find(address, delivery_id="dlv_9") is None


async def test_the_first_half_of_a_part_is_not_the_part() -> None:
    async with sending_half() as half:
        address = half.thread()
        part = part_of("word " * 1000)
        half.slack.fail("chat.postMessage", SlackError("msg_too_long"))
        half.slack.fail(
            "chat.postMessage", HtmlError(502), when=lambda call: call.text.count("word") == 400
        )
        with pytest.raises(DeliveryUnknown):
            await half.deliver(address, part)

        assert len(half.shown()) == 1
        assert await half.find(address, part) is None


async def test_long_histories_are_read_to_their_end() -> None:
    async with sending_half() as half:
        address = half.address()
        await half.deliver(address, part_of("Hello"), delivery_id="dlv_1")
        for number in range(450):
            half.slack.post_message("D1", "U1", str(number))

        assert await half.find(address, part_of("Hello")) == half.shown()[0].ts
        assert len(half.slack.calls_of("conversations.history")) == 3


@pytest.mark.parametrize("fault", [HtmlError(502), rate_limited(5), SlackError("missing_scope")])
async def test_a_history_that_cannot_be_read_is_no_answer(
    fault: HtmlError | SlackError,
) -> None:
    async with sending_half() as half:
        address = half.thread()
        half.slack.fail("conversations.replies", fault)
        with pytest.raises(GatewayError):
            await half.find(address, part_of("Hello"))


# ---------------------------------------------------------------- tokens


@pytest.mark.proves("C-7")
async def test_a_token_that_ended_is_exchanged_once_and_the_part_is_sent() -> None:
    async with sending_half(by_oauth=True, rotates=True) as half:
        address = half.address()
        half.slack.expire_tokens()
        await half.deliver(address, part_of("Hello"))

        assert [call.error for call in half.slack.calls_of("chat.postMessage")] == [
            "token_expired",
            "",
        ]
        assert len(half.slack.calls_of("oauth.v2.access")) == 2
        assert [message.text for message in half.shown()] == ["Hello"]


@pytest.mark.proves("C-7")
async def test_a_token_that_was_revoked_ends_what_is_sent_to_its_workspace_only() -> None:
    async with sending_half(by_oauth=True) as half:
        address = half.address()
        half.slack.workspace.end_tokens("token_revoked")
        for _ in range(2):
            with pytest.raises(DeliveryRefused) as caught:
                await half.deliver(address, part_of("Hello"))
            assert caught.value.scope == "address"

        assert len(half.slack.calls_of("chat.postMessage")) == 1
        assert half.host.states[-1][0] == "degraded"


async def test_an_address_of_another_platform_is_refused() -> None:
    async with sending_half() as half:
        for chat in ("C1", ":C1", "T1:"):
            with pytest.raises(DeliveryRefused) as caught:
                await half.deliver(Address("slack", chat), part_of("Hello"))
            assert caught.value.scope == "address"
            with pytest.raises(DeliveryRefused):
                await half.outgoing.find_sent(
                    SentQuery(delivery_id="d", address=Address("slack", chat), part={}, since=NOW)
                )


async def test_many_channels_are_sent_to_at_the_same_time() -> None:
    async with sending_half() as half:
        addresses = [half.thread(f"C{number}") for number in range(20)]
        await asyncio.gather(*(half.deliver(each, part_of("Hello")) for each in addresses))

        assert len({message.channel for message in half.shown()}) == 20

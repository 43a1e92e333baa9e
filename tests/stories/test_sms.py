"""SMS and a daemon that restarts: every message is answered once, and no SMS is sent twice."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.testing import Drop, Hang, Journey, OpenAIServer, Silence, TwilioServer, not_delivered
from gateway.testing.scene import PATIENCE_S, SCRIPTED, logged, over_endpoint
from tests.stories.checks import findings
from tests.stories.texting import OTHER, PERSON, connected, newest, replies, start


@pytest.mark.proves("TW-10", "TW-35", "TW-36")
async def test_tw_35_an_sms_is_answered_and_its_receipt_stands_in_history(tmp_path: Path) -> None:
    async with connected(tmp_path) as (gateway, twilio):
        message = twilio.post_sms(PERSON, "one")
        twilio.post_again(message, 3)

        assert await replies(twilio, 1) == ["Heard: one"]
        await twilio.wait_until_quiet(timeout_s=PATIENCE_S)
        [reply] = await newest(gateway)
        assert reply["delivery"]["status"] == "delivered"
        assert reply["delivery"]["provider_id"] == twilio.sent()[0].sid
        assert {one.says for one in twilio.attempts_of(message)} == {()}
        assert (twilio.problems, twilio.early, twilio.unaccepted) == ([], [], [])
        assert await findings(gateway) == []


@pytest.mark.proves("TW-20", "TW-21")
async def test_tw_21_stop_cancels_what_waits_and_start_lets_through_again(tmp_path: Path) -> None:
    async with OpenAIServer() as model:
        model.enqueue(Silence(), "Late.", "Again.")
        async with connected(tmp_path, model=over_endpoint(model)) as (gateway, twilio):
            twilio.post_sms(PERSON, "one")
            await model.wait_for_calls(1, timeout_s=PATIENCE_S)
            twilio.post_sms(PERSON, "STOP")
            await twilio.wait_until_quiet(timeout_s=PATIENCE_S)
            twilio.post_sms(PERSON, "start")
            twilio.post_sms(PERSON, "HELP")
            await twilio.wait_until_quiet(timeout_s=PATIENCE_S)
            calls = len(model.calls)
            twilio.post_sms(PERSON, "two")

            [body] = await replies(twilio, 1)
            assert body in ("Late.", "Again.")
            assert calls == 1
            assert [reply.text for reply in twilio.auto_replies] != []
            assert twilio.problems == []
            assert not any(call.error_code == 21610 for call in twilio.calls)
            assert await findings(gateway) == []


@pytest.mark.proves("TW-36")
async def test_tw_36_a_kill_between_a_create_and_its_answer_leaves_one_sms(tmp_path: Path) -> None:
    async with connected(tmp_path) as (gateway, twilio):
        twilio.fail("CreateMessage", Hang(accepted=True))
        twilio.plan(Journey(("sending", "sent", "delivered"), told=()))
        twilio.post_sms(PERSON, "one")
        await replies(twilio, 1)

        await gateway.kill()
        await start(gateway, twilio)
        twilio.post_sms(PERSON, "two")

        assert await replies(twilio, 2) == ["Heard: one", "Heard: two"]
        decided = logged(gateway, "delivery_doubt_decided")
        assert [line["outcome"] for line in decided] == ["sent"]
        assert await findings(gateway) == []


@pytest.mark.proves("TW-36")
async def test_tw_36_an_sms_of_the_same_words_is_not_taken_for_the_lost_one(tmp_path: Path) -> None:
    same = SCRIPTED.replace("Heard: {text}", "Yes.")
    async with connected(tmp_path, model=same) as (gateway, twilio):
        twilio.post_sms(PERSON, "one")
        await replies(twilio, 1)
        twilio.fail("CreateMessage", Hang(accepted=False))
        twilio.post_sms(PERSON, "two")
        await twilio.wait_for_calls("CreateMessage", 2, timeout_s=PATIENCE_S)
        await gateway.kill()
        await start(gateway, twilio)
        twilio.post_sms(PERSON, "three")

        assert await replies(twilio, 2) == ["Yes.", "Yes."]
        first, lost, third = [reply["delivery"] for reply in await newest(gateway)]
        assert (first["status"], lost["status"]) == ("delivered", "failed")
        assert "same words" in lost["error"]
        assert lost["provider_id"] is None
        assert third["provider_id"] == twilio.sent()[1].sid
        assert await findings(gateway) == []


@pytest.mark.proves("TW-36")
async def test_tw_36_a_callback_settles_what_nobody_answered(tmp_path: Path) -> None:
    async with connected(tmp_path) as (gateway, twilio):
        twilio.fail("CreateMessage", Drop(accepted=True))
        twilio.fail("ListMessage", Drop(), times=None)
        twilio.post_sms(PERSON, "one")
        await replies(twilio, 1)
        await twilio.wait_until_quiet(timeout_s=PATIENCE_S)
        twilio.post_sms(PERSON, "two")

        assert await replies(twilio, 2) == ["Heard: one", "Heard: two"]
        first, second = await newest(gateway)
        assert first["delivery"]["status"] == "delivered"
        assert second["delivery"]["status"] in ("sent", "delivered")


@pytest.mark.proves("TW-8")
async def test_tw_8_a_day_of_downtime_is_played_back_in_order(tmp_path: Path) -> None:
    twilio = TwilioServer()
    twilio.pass_time(timedelta(hours=-24))
    async with connected(tmp_path, twilio=twilio) as (gateway, _):
        await twilio.wait_until_quiet(timeout_s=PATIENCE_S)
        await gateway.stop()
        move_cursor_back(tmp_path, hours=24)
        twilio.set_webhook(None)
        for hour in range(8):
            for person in (PERSON, OTHER):
                twilio.post_sms(person, f"hour {3 * hour}")
            twilio.pass_time(timedelta(hours=3))
        await start(gateway, twilio)

        wanted = [f"Heard: hour {3 * hour}" for hour in range(8)]
        assert await replies(twilio, 8) == wanted
        assert await replies(twilio, 8, OTHER) == wanted
        assert await findings(gateway) == []


@pytest.mark.proves("TW-8")
async def test_tw_8_a_webhook_that_was_lost_is_caught_up_at_the_next_start(tmp_path: Path) -> None:
    async with connected(tmp_path) as (gateway, twilio):
        twilio.post_sms(PERSON, "one")
        await replies(twilio, 1)
        await gateway.kill()
        lost = twilio.post_sms(PERSON, "two")
        await twilio.wait_until_quiet(timeout_s=PATIENCE_S)
        assert twilio.unaccepted == [lost]
        await start(gateway, twilio)

        assert await replies(twilio, 2) == ["Heard: one", "Heard: two"]
        twilio.post_again(lost)
        twilio.post_sms(PERSON, "three")
        assert await replies(twilio, 3) == ["Heard: one", "Heard: two", "Heard: three"]


async def test_a_message_that_was_not_delivered_is_failed_in_history(tmp_path: Path) -> None:
    async with connected(tmp_path) as (gateway, twilio):
        twilio.plan(not_delivered(30007))
        twilio.post_sms(PERSON, "one")
        await replies(twilio, 1)
        await twilio.wait_until_quiet(timeout_s=PATIENCE_S)

        [reply] = await newest(gateway)
        assert reply["delivery"]["status"] == "failed"
        assert "30007" in reply["delivery"]["error"]
        assert await findings(gateway) == []


@pytest.mark.proves("TW-37")
async def test_tw_37_whatsapp_answers_within_the_window(tmp_path: Path) -> None:
    async with connected(tmp_path, kind="whatsapp") as (gateway, twilio):
        twilio.post_whatsapp(PERSON, "one")

        assert await replies(twilio, 1, f"whatsapp:{PERSON}") == ["Heard: one"]
        await twilio.wait_until_quiet(timeout_s=PATIENCE_S)
        [reply] = await newest(gateway)
        assert reply["delivery"]["status"] == "read"
        assert twilio.problems == []


def move_cursor_back(folder: Path, *, hours: int) -> None:
    """As if the gateway had been stopped so long ago."""
    moment = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    with closing(sqlite3.connect(folder / "data" / "gateway.db")) as db, db:
        assert db.execute("UPDATE cursor SET value = ?", (moment,)).rowcount == 1

"""SMS on their way in: many at once, in order, by a second address, with files."""

import asyncio
import time
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest

from gateway.testing import OpenAIServer, TwilioServer
from gateway.testing.faults.props.measures import cpu_wait_s, percentile
from gateway.testing.process import free_port
from gateway.testing.scene import PATIENCE_S, over_endpoint
from gateway.testing.twilio.messages import MediaFile
from gateway.testing.twilio.signing import SIGNATURE_HEADER, signature
from tests.stories.checks import findings
from tests.stories.texting import OTHER, PERSON, connected, newest, replies

AT_ONCE = 200
ROUNDS = 3
DEBUG = """
[log]
level = "debug"
"""


def slow(delay_s: float, *, text: str = "") -> str:
    """A model that takes its time, for every text or for one."""
    word = f'text = "{text}"' if text else ""
    return f"""
[models.main]
provider = "scripted"

[[models.main.rules]]
{word}
reply = "Heard: {{text}}"
delay_s = {delay_s}

[[models.main.rules]]
reply = "Heard: {{text}}"
"""


def signed_form(twilio: TwilioServer, url: str, number: int) -> tuple[bytes, dict[str, str]]:
    """A message of a person of their own, as Twilio posts it."""
    fields = [
        ("MessageSid", f"SM{number:032x}"),
        ("AccountSid", twilio.account_sid),
        ("From", f"+1555{number:07d}"),
        ("To", twilio.number),
        ("Body", "Hello"),
        ("NumMedia", "0"),
    ]
    made = signature(twilio.auth_token, url, fields, algorithm="HMAC_SHA1")
    headers = {SIGNATURE_HEADER: made, "Content-Type": "application/x-www-form-urlencoded"}
    return urlencode(fields).encode(), headers


@pytest.mark.proves("C-4", "TW-10")
async def test_c_4_200_sms_at_once_are_acknowledged_within_a_second_while_turns_take_20(
    tmp_path: Path,
) -> None:
    async with (
        connected(tmp_path, model=slow(20)) as (gateway, twilio),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
    ):
        url = f"{gateway.url}/hooks/sms"

        async def post(form: tuple[bytes, dict[str, str]]) -> float:
            body, headers = form
            began = time.perf_counter()
            async with client.post(url, data=body, headers=headers) as answer:
                await answer.read()
                assert answer.status == 200
            return time.perf_counter() - began

        took_s: list[float] = []
        for first in range(1_000_000, 1_000_000 + AT_ONCE * ROUNDS, AT_ONCE):
            forms = [signed_form(twilio, url, first + more) for more in range(AT_ONCE)]
            began_s = cpu_wait_s(gateway.pid)
            round_s = await asyncio.gather(*map(post, forms))
            waited_s = cpu_wait_s(gateway.pid) - began_s  # for a processor others had
            took_s += [one_s - waited_s for one_s in round_s]
        status = await gateway.run_json("status", "--json")
        await gateway.kill()

        assert len(took_s) == AT_ONCE * ROUNDS
        assert twilio.sent() == []
        assert percentile(took_s, 0.99) < 1
        assert status["turns"]["running"] > 0


@pytest.mark.proves("C-5")
async def test_c_5_one_person_is_answered_in_order_and_holds_up_nobody_else(
    tmp_path: Path,
) -> None:
    async with connected(tmp_path, model=slow(4, text="one")) as (gateway, twilio):
        for text in ("one", "two", "three"):
            twilio.post_sms(PERSON, text)
            await twilio.wait_until_quiet(timeout_s=PATIENCE_S)
        twilio.post_sms(OTHER, "four")

        assert await replies(twilio, 3) == ["Heard: one", "Heard: two", "Heard: three"]
        assert twilio.sent()[0].body == "Heard: four"
        await twilio.wait_until_quiet(timeout_s=PATIENCE_S)
        assert (twilio.problems, twilio.early, twilio.unaccepted) == ([], [], [])
        assert await findings(gateway) == []


@pytest.mark.proves("TW-7", "TW-9", "C-3")
async def test_tw_7_what_comes_by_the_fallback_address_is_answered_once(tmp_path: Path) -> None:
    backup = "https://backup.example"
    more = f'fallback_url = "{backup}"'
    async with connected(tmp_path, more=more) as (gateway, twilio):
        twilio.set_route(backup, gateway.url)
        gone = f"http://127.0.0.1:{free_port()}/hooks/sms"
        twilio.set_webhook(gone, fallback=f"{backup}/hooks/sms")
        message = twilio.post_sms(PERSON, "one")
        await replies(twilio, 1)
        await twilio.wait_until_quiet(timeout_s=PATIENCE_S)
        twilio.set_webhook(f"{gateway.url}/hooks/sms")
        twilio.post_again(message, 3)
        await twilio.wait_until_quiet(timeout_s=PATIENCE_S)
        twilio.post_sms(PERSON, "two")

        assert await replies(twilio, 2) == ["Heard: one", "Heard: two"]
        assert twilio.unaccepted == []
        assert await findings(gateway) == []


@pytest.mark.proves("TW-12", "C-10")
async def test_tw_12_media_of_an_sms_reaches_the_model(tmp_path: Path) -> None:
    note = MediaFile(b"The gate code is 4711.\n", "text/plain")
    async with OpenAIServer() as model:
        model.enqueue("It is 4711.", "Again 4711.")
        config = over_endpoint(model) + DEBUG
        async with connected(tmp_path, model=config) as (gateway, twilio):
            twilio.post_sms(PERSON, "what is the code?", media=[note])

            assert await replies(twilio, 1) == ["It is 4711."]
            [call] = model.calls
            shown = str(call.messages[-1]["content"])
            assert "what is the code?" in shown
            assert "The gate code is 4711." in shown
            assert len(twilio.calls_of("DownloadMedia")) == 1
            twilio.post_sms(PERSON, "", media=[MediaFile(b"\xff\xd8\xff\xe0 a photo")])
            await replies(twilio, 2)
            assert len(twilio.calls_of("DownloadMedia")) == 1, "this model takes no pictures"
            await twilio.wait_until_quiet(timeout_s=PATIENCE_S)
            assert len(await newest(gateway)) == 2
            assert (twilio.problems, twilio.unaccepted) == ([], [])
            assert await findings(gateway) == []
            for secret in (twilio.auth_token, twilio.account_sid, "/Media/ME"):
                assert secret not in gateway.log

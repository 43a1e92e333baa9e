"""People and a daemon that dies: a code links them, a command is answered, each of it once."""

from pathlib import Path

import pytest

from gateway.flow import gate
from gateway.flow.crash_points import ENVIRONMENT, CrashPoint
from gateway.testing import TelegramServer, WebhookRetry
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, SCRIPTED, calling, on_telegram
from tests.stories.checks import findings

CHAT = 7


@pytest.mark.parametrize("point", ["before_t1", "after_t1", "before_ack"])
async def test_a_code_that_meets_a_dying_daemon_lets_its_person_in_once(
    tmp_path: Path, point: CrashPoint
) -> None:
    async with TelegramServer(retry=WebhookRetry(scale=0.01)) as telegram:
        config = SCRIPTED + DESK + on_telegram(telegram, more='access = "pairing"')
        armed = {ENVIRONMENT: f"{point}:3"}
        async with GatewayProcess(tmp_path, config=config, environment=armed) as gateway:
            await gateway.start()
            await telegram.wait_for_calls("setWebhook", timeout_s=PATIENCE_S)
            telegram.post_text(CHAT, CHAT, "let me in")
            await telegram.wait_for_sent(1, chat=CHAT, timeout_s=PATIENCE_S)
            telegram.post_text(CHAT, CHAT, "/help")
            await telegram.wait_until_confirmed(timeout_s=PATIENCE_S)
            async with calling(gateway, await gateway.create_key()) as caller:
                made = await caller.call("PUT", "/v1/participants/by-identity/api/ann", {})
                participant = made.expect(201).json["id"]
                path = f"/v1/participants/{participant}/link-codes"
                code = (await caller.call("POST", path)).expect(201).json["code"]
            telegram.post_text(CHAT, CHAT, f"link {code}")
            await gateway.wait_for_end()

        async with GatewayProcess(tmp_path, config=config) as gateway:
            await gateway.start()
            sent = await telegram.wait_for_sent(2, chat=CHAT, timeout_s=PATIENCE_S)
            telegram.post_text(CHAT, CHAT, "hello")
            sent = await telegram.wait_for_sent(3, chat=CHAT, timeout_s=PATIENCE_S)
            await telegram.wait_until_confirmed(timeout_s=PATIENCE_S)

            assert [one.text for one in sent] == [
                gate.REFUSED_UNTIL_LINKED,
                gate.LINKED,
                "Heard: hello",
            ]
            async with calling(gateway, await gateway.create_key()) as caller:
                person = await caller.get(f"/v1/participants/{participant}")
            assert {one["channel"] for one in person["identities"]} == {"api", "telegram"}
            assert await findings(gateway) == []

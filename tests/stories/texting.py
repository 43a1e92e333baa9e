"""A gateway with a Twilio number, and people who write to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.testing import TwilioServer
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, SCRIPTED, calling

PERSON = "+15557654321"
OTHER = "+15557654322"
SMS = """
[[channels]]
name = "{name}"
kind = "{kind}"
bot = "support"
account_sid = "{twilio.account_sid}"
auth_token = "{twilio.auth_token}"
from = "{number}"
api_url = "{twilio.api_url}"
"""


@asynccontextmanager
async def connected(
    folder: Path,
    *,
    model: str = SCRIPTED,
    kind: str = "sms",
    more: str = "",
    twilio: TwilioServer | None = None,
) -> AsyncIterator[tuple[GatewayProcess, TwilioServer]]:
    """A gateway that hears Twilio, and Twilio."""
    async with twilio or TwilioServer() as server:
        number = (server.number if kind == "sms" else server.whatsapp).removeprefix("whatsapp:")
        channel = SMS.format(name=kind, kind=kind, twilio=server, number=number) + more
        async with GatewayProcess(folder, config=model + DESK + channel) as gateway:
            await start(gateway, server, kind=kind)
            yield gateway, server


async def start(gateway: GatewayProcess, twilio: TwilioServer, *, kind: str = "sms") -> None:
    """Start it, and wait until it has looked for what it missed; webhooks are posted from then."""
    looks = len(twilio.calls_of("FetchAccount"))
    await gateway.start()
    await twilio.wait_for_calls("FetchAccount", looks + 1, timeout_s=PATIENCE_S)
    twilio.set_webhook(f"{gateway.url}/hooks/{kind}#rc=3&rp=5xx,ct,rt")


async def replies(twilio: TwilioServer, count: int, person: str = PERSON) -> list[str]:
    sent = await twilio.wait_for_sent(count, to=person, timeout_s=PATIENCE_S)
    return [message.body for message in sent]


async def newest(gateway: GatewayProcess, *, role: str = "assistant") -> list[Any]:
    """The messages of the newest session, oldest first."""
    async with calling(gateway, await gateway.create_key()) as caller:
        [session, *_] = (await caller.get("/v1/sessions?limit=1"))["data"]
        page = await caller.get(f"/v1/sessions/{session['id']}/messages?order=asc&limit=100")
    return [message for message in page["data"] if message["role"] == role]

"""The fake Twilio as a process of its own: try a bot by hand, without a telephone or an account.

    python -m gateway.testing.twilio.server --port 8092 --webhook http://127.0.0.1:8080/sms

prints its address on one line. Each further line of standard input is posted as an SMS of one
person; each message the bot sends is printed as one line of JSON. It serves until SIGINT or
SIGTERM. The class itself is `TwilioServer` of `endpoint.py`.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from gateway.testing.by_hand import converse
from gateway.testing.twilio.endpoint import FAKE_ACCOUNT, FAKE_CREDENTIAL, TwilioServer
from gateway.testing.twilio.messages import TextMessage
from gateway.testing.wire import JsonObject

__all__ = ["TwilioServer", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve as the arguments say, until a signal."""
    asyncio.run(_serve(_parser().parse_args(arguments)))


async def _serve(options: argparse.Namespace) -> None:
    server = TwilioServer(
        account_sid=options.account, auth_token=options.token, port=options.port, spec=options.spec
    )
    async with server:
        server.set_webhook(options.webhook)
        post = server.post_whatsapp if options.whatsapp else server.post_sms
        await converse(
            server.api_url,
            write=lambda line: post(options.person, line),
            wait_for_sent=lambda count: server.wait_for_sent(count, timeout_s=None),
            show=_shown,
        )


def _shown(message: TextMessage) -> JsonObject:
    return {"to": message.to, "sid": message.sid, "text": message.text}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.testing.twilio.server",
        description="A fake Twilio with one person on the other side.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--account", default=FAKE_ACCOUNT, help="SID of the only account")
    parser.add_argument("--token", default=FAKE_CREDENTIAL, help="its auth token")
    parser.add_argument("--webhook", help="where inbound messages are posted")
    parser.add_argument("--person", default="+15557654321", help="number of the person")
    parser.add_argument("--whatsapp", action="store_true", help="the person uses WhatsApp")
    parser.add_argument("--spec", type=Path, help="OpenAPI description that judges every call")
    return parser


if __name__ == "__main__":
    main()

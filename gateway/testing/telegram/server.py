"""The fake Telegram as a process of its own: try a bot by hand, without a phone or an account.

    python -m gateway.testing.telegram.server --port 8090

prints its address on one line. Each further line of standard input is posted as a text of one
person in a private chat; each message the bot sends is printed as one line of JSON. It serves until
SIGINT or SIGTERM. The class itself is `TelegramServer` of `endpoint.py`.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from gateway.testing.by_hand import converse
from gateway.testing.telegram.chats import SentMessage
from gateway.testing.telegram.endpoint import FAKE_CREDENTIAL, TelegramServer
from gateway.testing.wire import JsonObject

__all__ = ["TelegramServer", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve as the arguments say, until a signal."""
    asyncio.run(_serve(_parser().parse_args(arguments)))


async def _serve(options: argparse.Namespace) -> None:
    server = TelegramServer(token=options.token, port=options.port, spec=options.spec)
    async with server:
        await converse(
            server.api_url,
            write=lambda line: server.post_text(options.user, options.user, line),
            wait_for_sent=lambda count: server.wait_for_sent(count, timeout_s=None),
            show=_shown,
        )


def _shown(message: SentMessage) -> JsonObject:
    return {"chat": message.chat, "message_id": message.message_id, "text": message.text}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.testing.telegram.server",
        description="A fake Telegram Bot API with one person on the other side.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--token", default=FAKE_CREDENTIAL, help="the only token that works")
    parser.add_argument("--user", type=int, default=1, help="id of the person, and of the chat")
    parser.add_argument("--spec", type=Path, help="specification file that judges every call")
    return parser


if __name__ == "__main__":
    main()

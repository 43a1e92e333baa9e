"""The fake Telegram as a process of its own: try a bot by hand, without a phone or an account.

    python -m gateway.testing.telegram.server --port 8090

prints its address on one line. Each further line of standard input is posted as a text of one
person in a private chat; each message the bot sends is printed as one line of JSON. It serves until
SIGINT or SIGTERM. The class itself is `TelegramServer` of `telegram_endpoint.py`.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from gateway.testing.loopback import announce_and_serve
from gateway.testing.telegram.endpoint import FAKE_CREDENTIAL, TelegramServer

__all__ = ["TelegramServer", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve as the arguments say, until a signal."""
    asyncio.run(_serve(_parser().parse_args(arguments)))


async def _serve(options: argparse.Namespace) -> None:
    server = TelegramServer(token=options.token, port=options.port, spec=options.spec)
    async with server, asyncio.TaskGroup() as tasks:
        followers = [
            tasks.create_task(_post_lines(server, options.user)),
            tasks.create_task(_print_sent(server)),
        ]
        await announce_and_serve(server.api_url)
        for follower in followers:
            follower.cancel()


async def _post_lines(server: TelegramServer, user: int) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        server.post_text(user, user, line.decode().rstrip("\n"))


async def _print_sent(server: TelegramServer) -> None:
    printed = 0
    while True:
        sent = await server.wait_for_sent(printed + 1, timeout_s=None)
        for message in sent[printed:]:
            line = {"chat": message.chat, "message_id": message.message_id, "text": message.text}
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        printed = len(sent)


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

"""The fake Slack as a process of its own: try an app by hand, without a workspace or an account.

    python -m gateway.testing.slack.server --port 8090 --events http://127.0.0.1:8080/slack/events

prints its address and the app's secrets on one line of JSON. Each further line of standard input is
a direct message of one person; each message of the app is printed as one line of JSON. Without
`--events` the app comes by Socket Mode. It serves until SIGINT or SIGTERM. The class itself is
`SlackServer` of `endpoint.py`.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from gateway.testing.loopback import announce_and_serve
from gateway.testing.slack.endpoint import SlackServer

__all__ = ["SlackServer", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve as the arguments say, until a signal."""
    asyncio.run(_serve(_parser().parse_args(arguments)))


async def _serve(options: argparse.Namespace) -> None:
    server = SlackServer(port=options.port, echo=False)
    async with server, asyncio.TaskGroup() as tasks:
        if options.events:
            server.deliver_to(options.events)
        followers = [
            tasks.create_task(_post_lines(server, options.user)),
            tasks.create_task(_print_sent(server)),
        ]
        await announce_and_serve(json.dumps(_introduction(server)))
        for follower in followers:
            follower.cancel()


def _introduction(server: SlackServer) -> dict[str, str]:
    return {
        "api_url": server.api_url,
        "bot_token": server.bot_token,
        "app_token": server.app_token,
        "signing_secret": server.signing_secret,
    }


async def _post_lines(server: SlackServer, user: str) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        server.post_message(f"D{user[1:]}", user, line.decode().rstrip("\n"))


async def _print_sent(server: SlackServer) -> None:
    printed = 0
    while True:
        sent = await server.wait_for_sent(printed + 1, timeout_s=None)
        for message in sent[printed:]:
            line = {"channel": message.channel, "ts": message.ts, "text": message.text}
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        printed = len(sent)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.testing.slack.server",
        description="A fake Slack with one workspace and one person on the other side.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--events", default="", help="request URL of the app; else Socket Mode")
    parser.add_argument("--user", default="U1", help="id of the person")
    return parser


if __name__ == "__main__":
    main()

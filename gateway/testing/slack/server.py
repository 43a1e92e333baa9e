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
from collections.abc import Sequence

from gateway.testing.by_hand import converse
from gateway.testing.slack.endpoint import SlackServer
from gateway.testing.slack.messages import SlackMessage
from gateway.testing.wire import JsonObject

__all__ = ["SlackServer", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve as the arguments say, until a signal."""
    asyncio.run(_serve(_parser().parse_args(arguments)))


async def _serve(options: argparse.Namespace) -> None:
    server = SlackServer(port=options.port, echo=False)
    async with server:
        if options.events:
            server.deliver_to(options.events)
        await converse(
            json.dumps(_introduction(server)),
            write=lambda line: server.post_message(f"D{options.user[1:]}", options.user, line),
            wait_for_sent=lambda count: server.wait_for_sent(count, timeout_s=None),
            show=_shown,
        )


def _introduction(server: SlackServer) -> dict[str, str]:
    return {
        "api_url": server.api_url,
        "bot_token": server.bot_token,
        "app_token": server.app_token,
        "signing_secret": server.signing_secret,
    }


def _shown(message: SlackMessage) -> JsonObject:
    return {"channel": message.channel, "ts": message.ts, "text": message.text}


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

"""The fake model endpoint as a process of its own: the stub of a benchmark or of a try-out.

    python -m gateway.testing.openai.server --delay-ms 200 --chunks 20 --chunk-delay-ms 10

prints its base URL on one line and serves until SIGINT or SIGTERM. Every call gets the same reply
from bytes made in advance; with `--echo` each is read, checked and echoed. The class itself is
`OpenAIServer` of `endpoint.py`.
"""

import argparse
import asyncio
from collections.abc import Sequence

from gateway.testing.loopback import announce_and_serve
from gateway.testing.openai.endpoint import ModelCall, OpenAIServer
from gateway.testing.openai.replies import Reply

__all__ = ["OpenAIServer", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve as the arguments say, until a signal."""
    asyncio.run(_serve(_parser().parse_args(arguments)))


async def _serve(options: argparse.Namespace) -> None:
    reply = _reply(options)
    if options.echo:
        server = OpenAIServer(lambda call: _echo(call, reply), port=options.port)
    else:
        server = OpenAIServer(port=options.port, constant=reply)
    async with server:
        await announce_and_serve(server.base_url)


def _reply(options: argparse.Namespace) -> Reply:
    return Reply(
        text=options.text if not options.chunks else "",
        pieces=tuple(f"word{number} " for number in range(options.chunks)),
        delay_s=options.delay_ms / 1000,
        first_chunk_delay_s=options.first_chunk_delay_ms / 1000,
        between_s=options.chunk_delay_ms / 1000,
    )


def _echo(call: ModelCall, timing: Reply) -> Reply:
    return Reply(
        f"echo: {call.last_text}",
        delay_s=timing.delay_s,
        first_chunk_delay_s=timing.first_chunk_delay_s,
        between_s=timing.between_s,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.testing.openai.server",
        description="A fake model endpoint in the format of the OpenAI API.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--text", default="All is well.", help="text of the reply")
    parser.add_argument("--chunks", type=int, default=0, help="a reply of so many words instead")
    parser.add_argument("--delay-ms", type=float, default=0, help="before the answer begins")
    parser.add_argument("--first-chunk-delay-ms", type=float, default=0, help="streams: before it")
    parser.add_argument("--chunk-delay-ms", type=float, default=0, help="streams: between chunks")
    parser.add_argument("--echo", action="store_true", help="read, check and echo each call")
    return parser


if __name__ == "__main__":
    main()

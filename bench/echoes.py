"""Yardsticks of the channel rows: each platform's own library, echoing, and storing nothing.

Written as the libraries' documentation shows it. Run as `python -m bench.echoes telegram|slack`.
"""

from __future__ import annotations

import argparse
import asyncio

from aiohttp import web

from bench.platforms import SECRET, TOKEN


async def telegram(port: int, api_url: str) -> None:
    """python-telegram-bot behind aiohttp, after its example customwebhookbot.py."""
    from telegram import Update
    from telegram.ext import Application, ContextTypes, MessageHandler, filters

    async def echo(update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.message is not None
        assert update.message.text is not None
        await update.message.reply_text(update.message.text)

    application = (
        Application.builder()
        .token(TOKEN)
        .base_url(f"{api_url}/bot")
        .updater(None)
        .concurrent_updates(True)
        .build()
    )
    application.add_handler(MessageHandler(filters.TEXT, echo))

    async def hook(request: web.Request) -> web.Response:
        update = Update.de_json(await request.json(), application.bot)
        await application.update_queue.put(update)
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hook)
    async with application:
        await application.start()
        await _serve(app, port)


async def slack(port: int, api_url: str) -> None:
    """slack-bolt on its own aiohttp server."""
    from slack_bolt.async_app import AsyncApp
    from slack_sdk.web.async_client import AsyncWebClient

    app = AsyncApp(
        signing_secret=SECRET, client=AsyncWebClient(token="xoxb-1", base_url=f"{api_url}/api/")
    )

    @app.event("message")
    async def echo(event, say) -> None:
        await say(event["text"])

    await _serve(app.server(port=port, path="/hook").web_app, port)


async def _serve(app: web.Application, port: int) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("platform", choices=("telegram", "slack"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api-url", required=True)
    options = parser.parse_args()
    asyncio.run(
        {"telegram": telegram, "slack": slack}[options.platform](options.port, options.api_url)
    )


if __name__ == "__main__":
    main()

"""A small SMS bot, as a reader of the testing kit's page might have written it."""

import asyncio
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer
from twilio.request_validator import RequestValidator

from gateway.testing import TwilioServer
from tests.testing.twilio.client import plain


@asynccontextmanager
async def sms_bot(twilio: TwilioServer):
    """An echo that checks signatures and tries once more at 429; gives its address."""
    async with plain(twilio) as client:

        async def answer(request: web.Request) -> web.Response:
            form = await request.post()
            signature = request.headers.get("X-Twilio-Signature", "")
            validator = RequestValidator(twilio.auth_token)
            if not validator.validate(str(request.url), form, signature):
                return web.Response(status=403)
            echo = f"You said {form['Body']!s}"
            reply = {"To": form["From"], "From": form["To"], "Body": echo}
            status, _ = await client.create(**reply)
            if status == 429:
                await asyncio.sleep(0.01)
                await client.create(**reply)
            return web.Response(status=204)

        app = web.Application()
        app.router.add_post("/sms", answer)
        async with TestServer(app) as server:
            yield str(server.make_url("")).rstrip("/")

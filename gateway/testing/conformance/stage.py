"""A channel at work between a rig and a gateway of lists, with its webhooks on a real port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from gateway.contract import Channel, OutboundMessage, Receipt
from gateway.testing.conformance.rig import Rig
from gateway.testing.host import FakeHost
from gateway.testing.process import free_port

OpenRig = Callable[[str], AbstractAsyncContextManager[Rig]]


@dataclass(frozen=True, slots=True)
class Stage:
    """A connected channel, its platform, and the gateway it believes to be in."""

    rig: Rig
    channel: Channel
    host: FakeHost

    async def say(self, text: str, *, chat: int = 1) -> list[Receipt]:
        """Render and deliver a text, every part once, in order."""
        message = OutboundMessage(address=self.rig.address(chat), text=text)
        return [
            await self.channel.deliver(message.address, part, delivery_id=f"dlv_{chat}_{number}")
            for number, part in enumerate(self.channel.render(message))
        ]


@asynccontextmanager
async def served(open_rig: OpenRig) -> AsyncIterator[tuple[Rig, Channel]]:
    """A rig and its channel, not connected, with the channel's routes on a port."""
    port = free_port()
    async with open_rig(f"http://127.0.0.1:{port}") as rig:
        channel = rig.channel()
        app = web.Application()
        app.add_routes(channel.routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            yield rig, channel
        finally:
            await runner.cleanup()


@asynccontextmanager
async def on_stage(
    open_rig: OpenRig, *, hears: bool = False, host: FakeHost | None = None
) -> AsyncIterator[Stage]:
    """A channel that can send, and with `hears` also hear."""
    async with AsyncExitStack() as stack:
        rig, channel = await stack.enter_async_context(served(open_rig))
        host = host or FakeHost()
        await stack.enter_async_context(channel.connected(host))
        if hears:
            await stack.enter_async_context(channel.receiving())
        yield Stage(rig, channel, host)

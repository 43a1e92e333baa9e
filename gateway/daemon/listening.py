"""The public listener: the application with every surface and every webhook, on its address."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from gateway.api.app import ApiSettings, Runner, build_app
from gateway.api.talk.routes import talk_routes
from gateway.config.values import Config
from gateway.daemon.parts import Parts
from gateway.errors import ConfigError


@asynccontextmanager
async def listening(config: Config, parts: Parts) -> AsyncIterator[web.BaseSite]:
    """Serve HTTP inside; raises ConfigError when the address cannot be used."""
    runner = Runner(_app(config, parts), shutdown_timeout_s=1)
    await runner.setup()
    host, port = config.settings.server.address
    site = web.TCPSite(runner, host, port)
    try:
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(_address_problem(config, error)) from error
        yield site
    finally:
        await runner.cleanup()


def _app(config: Config, parts: Parts) -> web.Application:
    server = config.settings.server
    hooks = [
        route
        for binding in parts.flow.current().channels.values()
        for route in binding.channel.routes()
    ]
    settings = ApiSettings(
        public_url=server.shown_url,
        trusted_proxies=server.trusted_proxies,
        cors_origins=frozenset(server.cors_origins),
        limits=config.policy().callers,
    )
    talk = talk_routes(parts.services, settings=settings, is_on=config.settings.surfaces.talk)
    return build_app(parts.services, settings=settings, extra_routes=[*hooks, *talk])


def _address_problem(config: Config, error: OSError) -> str:
    listen = config.settings.server.listen
    if error.errno == errno.EADDRINUSE:
        remedy = "stop the other program or set another [server] listen"
        return f"{listen} is taken by another program; {remedy}"
    reason = (error.strerror or str(error)).lower()
    return f"cannot listen on {listen}: {reason}; set another [server] listen"

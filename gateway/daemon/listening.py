"""The public listener: the application with every surface and every webhook, on its address."""

from __future__ import annotations

import errno
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from gateway.api.app import ApiSettings, Runner, build_app
from gateway.api.http.server import ConnectionLimits
from gateway.api.talk.routes import talk_routes
from gateway.config.values import Config
from gateway.daemon.parts import Parts
from gateway.errors import ConfigError

MOST_FILES = 65_536
"""Descriptors we ask for; the service file asks for as many."""

OWN_FILES = 2_000
"""Descriptors kept for the store and for calls to models, tools and platforms."""

BACKLOG = 128
"""Clients that may wait to be let in; asyncio lets in so many at a time, before any is counted."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many clients there may be, and how many are let in at a time."""

    connections: int
    backlog: int


@asynccontextmanager
async def listening(config: Config, parts: Parts) -> AsyncIterator[web.BaseSite]:
    """Serve HTTP inside; raises ConfigError when the address cannot be used."""
    room = room_for(_open_files())
    limits = ConnectionLimits(connections=room.connections)
    runner = Runner(_app(config, parts), shutdown_timeout_s=1, limits=limits)
    await runner.setup()
    host, port = config.settings.server.address
    site = web.TCPSite(runner, host, port, backlog=room.backlog)
    try:
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(_address_problem(config, error)) from error
        yield site
    finally:
        await runner.cleanup()


def room_for(files: int) -> Room:
    """The room that so many descriptors make.

    A call in may need a call out, and who is sent away holds a descriptor for a moment.

    >>> room_for(256), room_for(65_536)
    (Room(connections=80, backlog=16), Room(connections=63152, backlog=128))
    """
    backlog = max(1, min(BACKLOG, files // 16))
    return Room(max(1, files - min(files // 2, OWN_FILES) - 3 * backlog), backlog)


def _open_files() -> int:
    """How many descriptors this process may hold, once it has asked for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = MOST_FILES if hard == unlimited else min(hard, MOST_FILES)
    if soft != unlimited and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return MOST_FILES if soft == unlimited else soft


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

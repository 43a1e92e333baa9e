"""The application: every surface, the channels' webhooks and the chat page behind one door."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from gateway.api.http.dispatch import Dispatcher
from gateway.api.http.errors import Envelopes
from gateway.api.http.headers import CommonHeaders
from gateway.api.http.middleware import outermost
from gateway.api.http.server import ENVELOPES, Runner
from gateway.api.http.settings import ApiSettings
from gateway.api.native.description import Description
from gateway.api.native.problems import native_envelope
from gateway.api.native.routes import ENDPOINTS
from gateway.service.services import Services

__all__ = ["ApiSettings", "Runner", "build_app"]


def build_app(
    services: Services,
    *,
    settings: ApiSettings,
    extra_routes: Sequence[web.AbstractRouteDef] = (),
) -> web.Application:
    """The application over these services; run it with `Runner`.

    `extra_routes` are the channels' webhooks and the pages of other rooms: they check their
    callers themselves.
    """
    envelopes = Envelopes(default=native_envelope(settings.public_url), by_prefix={})
    headers = CommonHeaders(services.access, settings)
    app = web.Application(
        middlewares=[outermost(envelopes, headers)],
        client_max_size=settings.limits.history_body_bytes,
    )
    app[ENVELOPES] = envelopes
    app.on_response_prepare.append(headers.add)
    described = Description(
        ENDPOINTS, version=services.health.build.version, public_url=settings.public_url
    )
    app.add_routes(Dispatcher(services, settings).routes(described.endpoints))
    app.add_routes(extra_routes)
    return app

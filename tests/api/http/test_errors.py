"""Errors of aiohttp and of the gateway, as callers see them."""

import pytest
from aiohttp import web

from gateway.api.http.errors import Envelopes, ErrorPlace, from_gateway, from_http
from gateway.errors import GatewayError, NotFound, RequestError, StoreError, ToolError, TooMany


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (web.HTTPNotFound(), 404, "not_found"),
        (web.HTTPMethodNotAllowed("GET", ["POST"]), 405, "method_not_allowed"),
        (web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2), 413, "body_too_large"),
        (web.HTTPUnauthorized(), 401, "invalid_credentials"),
        (web.HTTPForbidden(), 403, "forbidden"),
        (web.HTTPUnsupportedMediaType(), 415, "unsupported_media_type"),
        (web.HTTPServiceUnavailable(), 503, "overloaded"),
        (web.HTTPBadGateway(), 500, "internal"),
        (web.HTTPBadRequest(), 400, "bad_request"),
        (web.HTTPExpectationFailed(), 400, "bad_request"),
    ],
)
def test_what_a_handler_raises_by_aiohttp_gets_our_shape(
    raised: web.HTTPException, status: int, code: str
) -> None:
    shown = from_http(raised)

    assert (shown.status, shown.code) == (status, code)


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (NotFound("Gone."), 404, "not_found"),
        (StoreError("The disk is full.", code="store_full"), 503, "not_ready"),
        (ToolError("A tool broke."), 500, "internal"),
    ],
)
def test_what_is_not_the_callers_business_stays_inside(
    raised: GatewayError, status: int, code: str
) -> None:
    shown = from_gateway(raised)

    assert (shown.status, shown.code) == (status, code)
    assert isinstance(raised, RequestError) or raised.message not in shown.message


def test_the_longest_matching_prefix_gives_the_shape() -> None:
    def shape(name: str) -> web.Response:
        return web.Response(text=name)

    envelopes = Envelopes(
        default=lambda *_: shape("native"),
        by_prefix={"/api": lambda *_: shape("studio"), "/api/v1": lambda *_: shape("rowboat")},
    )

    shapes = [
        envelopes.render(NotFound("No."), ErrorPlace(path, "req_1")).text
        for path in ("/v1/x", "/api/x", "/api/v1/x")
    ]
    assert shapes == ["native", "studio", "rowboat"]


def test_waiting_times_are_whole_seconds_rounded_up() -> None:
    envelopes = Envelopes(default=lambda *_: web.Response(), by_prefix={})

    response = envelopes.render(TooMany("Slow.", retry_after_s=1.2), ErrorPlace("/", "req_1"))

    assert response.headers["Retry-After"] == "2"

"""Errors that only HTTP knows, and how each error of the gateway becomes an answer.

Every surface brings one `Envelope`: a function from an error to a response in its own shape.
Headers that belong to an error on every surface are added here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from aiohttp import web

from gateway.errors import (
    BadRequest,
    Forbidden,
    GatewayError,
    NotFound,
    RequestError,
    StoreError,
    TooLarge,
    Unauthorized,
    Unavailable,
)


class WrongMethod(RequestError):
    """The path exists, but not for this method; `allowed` names those it exists for."""

    status = 405
    default_code = "method_not_allowed"

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__("This path does not answer that method.")
        self.allowed = tuple(sorted(allowed))


class MovedForGood(RequestError):
    """It is part of something else now: ask at `location` (RFC 9110, 15.4.9)."""

    status = 308
    default_code = "merged"

    def __init__(self, message: str, *, location: str) -> None:
        super().__init__(message)
        self.location = location


class WrongMedia(RequestError):
    """The body is not in a format that is read here."""

    status = 415
    default_code = "unsupported_media_type"


class HeadersTooLarge(RequestError):
    """The request line or a header is over its limit."""

    status = 431
    default_code = "headers_too_large"


class Internal(RequestError):
    """Something broke in the gateway; the log knows what."""

    status = 500
    default_code = "internal"


class ModelFailed(RequestError):
    """The model behind the bot gave no usable answer."""

    status = 502
    default_code = "model_error"


class TurnTimeout(RequestError):
    """The turn took longer than it may."""

    status = 504
    default_code = "turn_timeout"


@dataclass(frozen=True, slots=True)
class ErrorPlace:
    """Where an error happened: path and id of the request."""

    path: str
    request_id: str


Envelope = Callable[[RequestError, ErrorPlace], web.Response]
"""Renders an error in the shape of one surface."""


@dataclass(frozen=True, slots=True)
class Envelopes:
    """Which paths speak which shape: the longest matching prefix wins, else `default`."""

    default: Envelope
    by_prefix: Mapping[str, Envelope]

    def render(self, error: RequestError, place: ErrorPlace) -> web.Response:
        """The answer to an error on that path."""
        matching = [prefix for prefix in self.by_prefix if place.path.startswith(prefix)]
        envelope = self.by_prefix[max(matching, key=len)] if matching else self.default
        response = envelope(error, place)
        add_error_headers(response, error)
        return response


def add_error_headers(response: web.StreamResponse, error: RequestError) -> None:
    """Add the headers that belong to an error whatever the surface."""
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, WrongMethod):
        response.headers["Allow"] = ", ".join(error.allowed)
    if isinstance(error, MovedForGood):
        response.headers["Location"] = error.location
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, ceil(error.retry_after_s)))


def from_gateway(error: GatewayError) -> RequestError:
    """What the caller learns of an error of the gateway."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, StoreError):
        return Unavailable("Nothing can be stored right now.", retry_after_s=5, code="not_ready")
    return Internal("Something went wrong on our side.")


def from_http(error: web.HTTPException) -> RequestError:
    """What the caller learns of an error aiohttp raised, or a handler by aiohttp's classes."""
    match error:
        case web.HTTPMethodNotAllowed():
            return WrongMethod(tuple(error.allowed_methods))
        case web.HTTPRequestEntityTooLarge():
            return TooLarge("The body is over its limit.")
        case web.HTTPNotFound():
            return NotFound("There is nothing at this path.")
        case web.HTTPUnauthorized():
            return Unauthorized("The credentials are missing or wrong.")
        case web.HTTPForbidden():
            return Forbidden("This is not allowed.", code="forbidden")
        case web.HTTPUnsupportedMediaType():
            return WrongMedia("The body is not in a format that is read here.")
        case web.HTTPServiceUnavailable():
            return Unavailable("Try again in a moment.", retry_after_s=5)
        case web.HTTPServerError():
            return Internal("Something went wrong on our side.")
        case _:
            return BadRequest("The request cannot be read.")

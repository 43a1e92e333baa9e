"""Errors in the native shape: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from gateway.api.http.errors import Envelope, ErrorPlace
from gateway.api.native.wire.common import FieldProblem, ProblemOut
from gateway.errors import RequestError, Unprocessable

CONTENT_TYPE = "application/problem+json; charset=utf-8"

TITLES = {
    "already_completed": "The turn has come to its end",
    "bad_request": "The request cannot be read",
    "body_too_large": "The body is too large",
    "body_too_slow": "The body came too slowly",
    "conflict": "It cannot be done now",
    "draining": "The gateway is stopping",
    "etag_mismatch": "It was changed meanwhile",
    "expired": "It is not kept any more",
    "expired_credentials": "The credentials have expired",
    "forbidden": "This is not allowed",
    "headers_too_large": "The headers are too large",
    "idempotency_in_progress": "The first request is still at work",
    "idempotency_key_reused": "The Idempotency-Key was used for another request",
    "insufficient_scope": "The key does not open this",
    "agent_not_allowed": "The key does not reach this bot",
    "internal": "Something went wrong",
    "invalid_body": "The body broke off",
    "invalid_credentials": "The credentials are wrong",
    "invalid_cursor": "The cursor is wrong",
    "invalid_json": "The body is not a JSON object",
    "invalid_parameter": "A parameter is wrong",
    "invalid_text": "A text holds what cannot be stored",
    "key_revoked": "The key was revoked",
    "merged": "It was merged into another",
    "method_not_allowed": "The method is not allowed",
    "missing_credentials": "Credentials are missing",
    "model_error": "The model failed",
    "model_refused_request": "The model refused the request",
    "model_unavailable": "The model is not available",
    "no_dead_letter": "It is no dead letter",
    "not_found": "Not found",
    "not_ready": "The gateway is not ready",
    "origin_not_allowed": "The page's origin is not allowed",
    "overloaded": "Too much is waiting",
    "participant_blocked": "The participant is blocked",
    "quota_exceeded": "The quota is used up",
    "rate_limited": "Too many requests",
    "session_busy": "The session is busy",
    "session_ended": "The session has ended",
    "session_exists": "The session exists already",
    "step_limit": "The turn took too many steps",
    "surface_disabled": "This is switched off",
    "turn_timeout": "The turn took too long",
    "unknown_parameter": "Unknown parameter",
    "unsupported_media_type": "The body's format is not read here",
    "validation_failed": "The request is not valid",
}
"""What each code means, for people; part of the served description."""


def native_envelope(public_url: str) -> Envelope:
    """Renders errors natively; `type` leads to the codes in the readable description."""

    def render(error: RequestError, place: ErrorPlace) -> web.Response:
        fields = error.fields if isinstance(error, Unprocessable) else ()
        problem = ProblemOut(
            type=f"{public_url}/docs#error-{error.code}",
            title=TITLES.get(error.code) or HTTPStatus(error.status).phrase,
            status=error.status,
            detail=error.message,
            instance=place.path,
            code=error.code,
            request_id=place.request_id,
            retryable=error.retryable,
            errors=[FieldProblem(pointer=f.pointer, code=f.code, detail=f.detail) for f in fields]
            or None,
        )
        return web.Response(
            status=error.status,
            body=problem.model_dump_json(exclude_none=True).encode(),
            headers={"Content-Type": CONTENT_TYPE},
        )

    return render
